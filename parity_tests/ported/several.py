"""Several inputs, shared layers and sets: wide and deep, siamese towers, factors, sets, graphs, speakers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import Input, Model, Sequential, layers, ops
from torch import nn

from . import Inputs, Pair
from .weights import array, attention, convolution, linear, norm


class WideAndDeep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList([nn.Embedding(7, 3), nn.Embedding(5, 3)])
        self.deep = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 1))
        self.wide = nn.Linear(4, 1)

    def forward(self, numbers: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        own = [table(codes[:, index]) for index, table in enumerate(self.embeddings)]
        return torch.sigmoid(self.wide(numbers) + self.deep(torch.cat([numbers, *own], dim=1))).squeeze(1)


def wide_and_deep(*, product: bool = False, order: tuple[int, int] = (0, 1)) -> Model:
    """`order` says which column is looked up in which table."""
    numbers, codes = Input((4,), name="numbers"), Input((2,), dtype="int64", name="codes")
    first = layers.Embedding(7, 3, name="city")(codes[:, order[0]])
    second = layers.Embedding(5, 3, name="month")(codes[:, order[1]])
    x = layers.Dense(8, activation="relu", name="deep_1")(layers.Concatenate(name="features")([numbers, first, second]))
    x = layers.Dense(1, name="deep_2")(x)
    y = layers.Dense(1, name="linear")(numbers)
    both = layers.Multiply(name="both")([y, x]) if product else layers.Add(name="both")([y, x])
    return Model([numbers, codes], layers.Reshape((), name="flat")(layers.Activation("sigmoid", name="click")(both)))


def load_wide_and_deep(source: Any, target: Any) -> None:
    target.get_layer("city").set_weights([array(source.embeddings[0].weight)])
    target.get_layer("month").set_weights([array(source.embeddings[1].weight)])
    for name, ours in {"deep_1": source.deep[0], "deep_2": source.deep[2], "linear": source.wide}.items():
        target.get_layer(name).set_weights(linear(ours))


def columns(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(4, 4)).astype("float32"), rng.integers(0, 5, (4, 2))]


class Siamese(nn.Module):
    """One tower for both inputs, whose own second and third layer take turns; the target's side is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 5)

    def tower(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.a(x))
        x = torch.tanh(self.c(torch.tanh(self.b(x))))
        return torch.tanh(self.c(torch.tanh(self.b(x))))

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.abs(self.tower(left) - self.tower(right).detach())


def siamese(*, order: str = "bcbc", stopped: bool = True, squared: bool = False) -> Model:
    own = {name: layers.Dense(5, activation="tanh", name=f"shared_{name}") for name in "abc"}
    side = Input((6,))
    x = own["a"](side)
    for name in order:
        x = own[name](x)
    tower = Model(side, x, name="tower")
    left, right = Input((6,), name="left"), Input((6,), name="right")
    one, other = tower(left), tower(right)
    other = ops.stop_gradient(other) if stopped else other
    apart = layers.Subtract(name="apart")([one, other])
    return Model([left, right], ops.square(apart) if squared else ops.absolute(apart))


def load_siamese(source: Any, target: Any) -> None:
    for name in "abc":
        target.get_layer("tower").get_layer(f"shared_{name}").set_weights(linear(getattr(source, name)))


class Factors(nn.Module):
    """Users and films as factors with biases."""

    def __init__(self) -> None:
        super().__init__()
        self.user_factors, self.item_factors = nn.Embedding(8, 4), nn.Embedding(8, 4)
        self.user_biases, self.item_biases = nn.Embedding(8, 1), nn.Embedding(8, 1)
        self.mean = nn.Parameter(torch.zeros(1))

    def forward(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        dot = (self.user_factors(user) * self.item_factors(item)).sum(1, keepdim=True)
        return dot + self.user_biases(user) + self.item_biases(item) + self.mean


@keras.saving.register_keras_serializable("several")
class Recommender(keras.Model):
    def __init__(self, average: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.average = average
        self.film = layers.Embedding(8, 4)
        self.viewer = layers.Embedding(8, 4)
        self.film_bias = layers.Embedding(8, 1)
        self.viewer_bias = layers.Embedding(8, 1)
        self.offset = self.add_weight(shape=(1,), name="offset")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "average": self.average}

    def call(self, inputs: Any) -> Any:
        user, item = inputs["user"], inputs["item"]
        reduced = ops.mean if self.average else ops.sum
        dot = reduced(self.viewer(user) * self.film(item), axis=1, keepdims=True)
        return dot + self.viewer_bias(user) + self.film_bias(item) + self.offset


def load_factors(source: Any, target: Any) -> None:
    target.viewer.set_weights([array(source.user_factors.weight)])
    target.film.set_weights([array(source.item_factors.weight)])
    target.viewer_bias.set_weights([array(source.user_biases.weight)])
    target.film_bias.set_weights([array(source.item_biases.weight)])
    target.offset.assign(array(source.mean))


class SetTransformer(nn.Module):
    """Induced points attend to a set and the set to them; then its sum."""

    def __init__(self) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.zeros(1, 3, 8))
        self.into, self.back = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))
        self.embed, self.out = nn.Linear(3, 8), nn.Linear(8, 2)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.embed(x))
        points = self.points.expand(len(x), -1, -1)
        seen, _ = self.into(points, x, x)
        x = self.norm(x + self.back(x, seen, seen, need_weights=False)[0])
        return self.out(x.sum(1))


@keras.saving.register_keras_serializable("several")
class Induced(keras.Model):
    def __init__(self, mean: bool = False, crossed: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.mean, self.crossed = mean, crossed
        self.lift, self.final = layers.Dense(8, activation="relu"), layers.Dense(2)
        self.gather = layers.MultiHeadAttention(2, 4)
        self.spread = layers.MultiHeadAttention(2, 4)
        self.normal = layers.LayerNormalization(epsilon=1e-5)
        self.inducing = self.add_weight(shape=(1, 3, 8), name="inducing")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "crossed": self.crossed}

    def call(self, x: Any) -> Any:
        x = self.lift(x)
        points = ops.repeat(self.inducing, ops.shape(x)[0], axis=0)
        seen = self.gather(points, x)
        x = self.normal(x + (self.spread(x, seen, seen) if not self.crossed else self.spread(x, x, x)))
        return self.final(ops.mean(x, axis=1) if self.mean else ops.sum(x, axis=1))


def load_sets(source: Any, target: Any) -> None:
    target.lift.set_weights(linear(source.embed))
    target.final.set_weights(linear(source.out))
    target.gather.set_weights(attention(source.into))
    target.spread.set_weights(attention(source.back))
    target.normal.set_weights(norm(source.norm))
    target.inducing.assign(array(source.points))


class GCN(nn.Module):
    """Kipf and Welling (2017): a normalised adjacency times the features."""

    def __init__(self) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(4, 6, bias=False), nn.Linear(6, 3)

    def forward(self, nodes: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        nodes = F.relu(adjacency @ self.lin1(nodes))
        return F.log_softmax(torch.matmul(adjacency, self.lin2(nodes)), dim=-1)


def gcn(*, turned: bool = False) -> Model:
    """`turned` sends messages against the edges."""
    nodes, adjacency = Input((5, 4), name="nodes"), Input((5, 5), name="adjacency")
    x = layers.Dense(6, use_bias=False, name="gc1")(nodes)
    edges = layers.Permute((2, 1), name="against")(adjacency) if turned else adjacency
    x = layers.ReLU()(layers.Dot(axes=(2, 1), name="aggregate1")([adjacency, x]))
    x = layers.Dot(axes=(2, 1), name="aggregate2")([edges, layers.Dense(3, name="gc2")(x)])
    return Model([nodes, adjacency], layers.Activation("log_softmax", name="labels")(x))


def load_gcn(source: Any, target: Any) -> None:
    target.get_layer("gc1").set_weights(linear(source.lin1))
    target.get_layer("gc2").set_weights(linear(source.lin2))


class Speaker(nn.Module):
    """Mean and deviation over time, as in an x-vector."""

    def __init__(self) -> None:
        super().__init__()
        self.frame = nn.Conv1d(4, 5, 3)
        self.segment = nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.frame(x)) + 0.1 * self.frame(x)
        return self.segment(torch.cat([x.mean(2), x.std(2, unbiased=False)], 1))


class UnbiasedSpeaker(Speaker):
    """The deviation as PyTorch takes it by default."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.frame(x)) + 0.1 * self.frame(x)
        return self.segment(torch.cat([x.mean(2), x.std(2)], 1))


@keras.saving.register_keras_serializable("several")
class Statistics(layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.concatenate([ops.mean(x, axis=1), ops.std(x, axis=1)], axis=-1)


def speaker() -> Model:
    return Sequential(
        [
            Input((9, 4)),
            layers.Conv1D(5, 3, name="tdnn"),
            layers.Lambda(lambda x: ops.relu(x) + 0.1 * x, name="act"),
            Statistics(name="statistics"),
            layers.Dense(3, name="x_vector"),
        ]
    )


def load_speaker(source: Any, target: Any) -> None:
    target.get_layer("tdnn").set_weights(convolution(source.frame))
    target.get_layer("x_vector").set_weights(linear(source.segment))


def as_they_are(given: Inputs) -> Inputs:
    return given


def channels_second(given: Any) -> list[np.ndarray]:
    return [np.swapaxes(array, 1, 2) for array in given]


def graph(rng: np.random.Generator) -> list[np.ndarray]:
    edges = (rng.random((2, 5, 5)) < 0.5) + np.eye(5)
    return [rng.normal(size=(2, 5, 4)).astype("float32"), (edges / edges.sum(-1, keepdims=True)).astype("float32")]


def sets(*sizes: int) -> Any:
    return lambda rng: [rng.normal(size=sizes).astype("float32")]


WIDE = Pair("wide and deep", WideAndDeep, wide_and_deep, columns, load_wide_and_deep)
SIAMESE = Pair(
    "siamese", Siamese, siamese, lambda rng: list(rng.normal(size=(2, 3, 6)).astype("float32")), load_siamese
)
FACTORS = Pair(
    "factors",
    Factors,
    Recommender,
    lambda rng: {"user": rng.integers(0, 8, 5), "item": rng.integers(0, 8, 5)},
    load_factors,
)
SETS = Pair("set transformer", SetTransformer, Induced, sets(2, 5, 3), load_sets, torch_inputs=as_they_are)
GRAPH = Pair("graph", GCN, gcn, graph, load_gcn, torch_inputs=as_they_are, by="transfer")
SPEAKER = Pair("speaker", Speaker, speaker, sets(3, 9, 4), load_speaker, torch_inputs=channels_second)

PAIRS = (
    WIDE,
    WIDE.but(
        "columns swapped",
        "embeddings.0|embeddings.1|city|month|:getitem#0|:__getitem__#0",
        "index|swapped|column|slice|another tensor",
        keras=lambda: wide_and_deep(order=(1, 0)),
    ),
    WIDE.but("product for sum", ":add#0|both", "add|multiply|product|sum", keras=lambda: wide_and_deep(product=True)),
    SIAMESE,
    SIAMESE.but(
        "another layer shared",
        "b|c|tower/shared_b|tower/shared_c|tower",
        "order|shared|swapped",
        keras=lambda: siamese(order="bccb"),
    ),
    SIAMESE.but(
        "gradient not stopped",
        ":detach#0|right|left|tower|apart|a|b|c|:sub#0",
        "stop_gradient|detach|gradient",
        keras=lambda: siamese(stopped=False),
        seen="gradients",
    ),
    SIAMESE.but(
        "square for absolute value",
        ":abs#0|:absolute#0|:square#0",
        "square|abs",
        keras=lambda: siamese(squared=True),
    ),
    FACTORS,
    FACTORS.but("mean for sum", ":sum#0|:mean#0", "mean|sum|times", keras=lambda: Recommender(average=True)),
    SETS,
    SETS.but(
        "mean for sum", ":sum#0|:mean#0|out|final", "mean|sum|times", keras=lambda: Induced(mean=True), by="factories"
    ),
    SETS.but("attends to itself", "back|spread", "another tensor|key|value", keras=lambda: Induced(crossed=True)),
    GRAPH,
    GRAPH.but(
        "edges the other way round",
        ":matmul#1|:matmul#0|aggregate2|against",
        "transpos|swapped|permut",
        keras=lambda: gcn(turned=True),
        by="hand",
    ),
    SPEAKER,
    SPEAKER.but(
        "deviation of a sample",
        ":std#0|statistics|statistics:std#0",
        "n - 1|unbiased|ddof|Bessel",
        torch=UnbiasedSpeaker,
    ),
)
