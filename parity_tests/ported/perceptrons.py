"""Dense networks: a plain one with other activations at each layer, a highway network, and an MLP-Mixer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import keras
import torch
from keras import Input, Model, Sequential, layers
from torch import nn

from . import Inputs, Pair
from .weights import array, convolution, linear, norm

NAMES = ("one", "two", "three", "four")


def perceptron() -> nn.Module:
    """A sequential model of PyTorch, with names."""
    return nn.Sequential(
        OrderedDict(
            one=nn.Linear(6, 8), act1=nn.ELU(0.7), two=nn.Linear(8, 8), act2=nn.Mish(), drop=nn.Dropout(0.2),
            three=nn.Linear(8, 8), act3=nn.Softplus(), four=nn.Linear(8, 4), out=nn.Softmax(dim=1),
        )
    )  # fmt: skip


def dense(*, alpha: float = 0.7, third: str = "softplus", last: str | None = "softmax", drop: bool = True) -> Model:
    drops = [layers.Dropout(0.2, name="drop")] if drop else []
    return Sequential(
        [
            Input((6,)),
            layers.Dense(8, name="one"),
            layers.ELU(alpha, name="elu"),
            layers.Dense(8, activation="mish", name="two"),
            *drops,
            layers.Dense(8, activation=third, name="three"),
            layers.Dense(4, activation=last, name="four"),
        ]
    )


def load(source: Any, target: Any) -> None:
    for name in NAMES:
        target.get_layer(name).set_weights(linear(getattr(source, name)))


def load_swapped(source: Any, target: Any) -> None:
    load(source, target)
    target.get_layer("two").set_weights(linear(source.three))
    target.get_layer("three").set_weights(linear(source.two))


def load_transposed(source: Any, target: Any) -> None:
    """A square kernel as PyTorch has it."""
    load(source, target)
    target.get_layer("two").set_weights([array(source.two.weight), array(source.two.bias)])


class Highway(nn.Module):
    """Srivastava et al. (2015): a gate lets the input through."""

    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Linear(6, 6) for _ in range(depth))
        self.transforms = nn.ModuleList(nn.Linear(6, 6) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for gate, transform in zip(self.gates, self.transforms, strict=True):
            t = gate(x).sigmoid()
            x = t * transform(x).relu() + (1 - t) * x
        return x


@keras.saving.register_keras_serializable("perceptrons")
class HighwayLayer(layers.Layer):
    """`carried` lets the input through where the gate is open, which is the other way round."""

    def __init__(self, carried: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.carried = carried
        self.transform = layers.Dense(6, activation="relu")
        self.gate = layers.Dense(6, activation="sigmoid")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "carried": self.carried}

    def call(self, x: Any) -> Any:
        t, h = self.gate(x), self.transform(x)
        return (1 - t) * h + t * x if self.carried else t * h + (1 - t) * x


def highway(*, carried: bool = False) -> Model:
    x = Input((6,))
    return Model(x, HighwayLayer(carried, name="highway_2")(HighwayLayer(name="highway_1")(x)))


def load_highway(source: Any, target: Any) -> None:
    for index, (gate, transform) in enumerate(zip(source.gates, source.transforms, strict=True)):
        layer = target.get_layer(f"highway_{index + 1}")
        layer.gate.set_weights(linear(gate))
        layer.transform.set_weights(linear(transform))


class MixerBlock(nn.Module):
    """Six tokens, six wide: either can be taken for the other."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(6), nn.LayerNorm(6)
        self.tokens = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 6))
        self.channels = nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.tokens(self.ln1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.ln2(x))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, kernel_size=4, stride=4)
        self.blocks = nn.Sequential(MixerBlock(), MixerBlock())
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(self.blocks(x).mean(dim=1))


def mixer(*, turned: bool = True, summed: bool = False) -> Model:
    """`turned` tokens behind the channels in the second block; `summed` patches instead of their mean."""
    picture = Input((8, 12, 3))
    x = layers.Conv2D(6, 4, strides=4, name="patches")(picture)
    x = layers.Reshape((6, 6), name="sequence")(x)
    for index in range(2):
        y = layers.LayerNormalization(epsilon=1e-5, name=f"token_norm_{index}")(x)
        swap = index == 0 or turned
        y = layers.Permute((2, 1), name=f"there_{index}")(y) if swap else y
        y = layers.Dense(5, activation="gelu", name=f"token_up_{index}")(y)
        y = layers.Dense(6, name=f"token_down_{index}")(y)
        y = layers.Permute((2, 1), name=f"back_{index}")(y) if swap else y
        x = layers.Add(name=f"token_add_{index}")([x, y])
        y = layers.LayerNormalization(epsilon=1e-5, name=f"channel_norm_{index}")(x)
        y = layers.Dense(9, activation="gelu", name=f"channel_up_{index}")(y)
        x = layers.Add(name=f"channel_add_{index}")([x, layers.Dense(6, name=f"channel_down_{index}")(y)])
    x = keras.ops.sum(x, axis=1) if summed else layers.GlobalAveragePooling1D(name="mean")(x)
    return Model(picture, layers.Dense(3, name="head")(x))


def load_mixer(source: Any, target: Any) -> None:
    target.get_layer("patches").set_weights(convolution(source.stem))
    target.get_layer("head").set_weights(linear(source.head))
    for index, block in enumerate(source.blocks):
        for name, ours in (("token_norm", block.ln1), ("channel_norm", block.ln2)):
            target.get_layer(f"{name}_{index}").set_weights(norm(ours))
        for name, ours in (("token", block.tokens), ("channel", block.channels)):
            target.get_layer(f"{name}_up_{index}").set_weights(linear(ours[0]))
            target.get_layer(f"{name}_down_{index}").set_weights(linear(ours[2]))


def as_they_are(given: Inputs) -> Inputs:
    return given


PLAIN = Pair("perceptron", perceptron, dense, lambda rng: [rng.normal(size=(4, 6)).astype("float32")], load)
HIGHWAY = Pair(
    "highway", Highway, highway, lambda rng: [rng.normal(size=(4, 6)).astype("float32")], load_highway, by="factories"
)
MIXER = Pair("mixer", Mixer, mixer, lambda rng: [rng.normal(size=(2, 8, 12, 3)).astype("float32")], load_mixer)

PAIRS = (
    PLAIN,
    PLAIN.but("ELU alpha", "act1|elu", "alpha", keras=lambda: dense(alpha=1.0), by="transfer"),
    PLAIN.but(
        "relu for softplus",
        "act3|three:activation|three",
        "softplus",
        keras=lambda: dense(third="relu"),
        by="factories",
    ),
    PLAIN.but("softmax left out", "out|four:activation|four", "softmax", keras=lambda: dense(last=None)),
    PLAIN.but("dropout left out", "drop", "dropout", keras=lambda: dense(drop=False), seen="never"),
    PLAIN.but("two layers swapped", "two|three", "swapped", load=load_swapped),
    PLAIN.but("square kernel not transposed", "two", "swapped|transpos", load=load_transposed),
    HIGHWAY,
    HIGHWAY.but(
        "gate of the other sense",
        "|:mul#2|:add#1|highway_2|highway_2:multiply#0|gates.1:sigmoid#0|:sigmoid#1|:mul#3",
        "swapped|order|1 -|another tensor",
        keras=lambda: highway(carried=True),
    ),
    MIXER,
    MIXER.but(
        "tokens not transposed",
        "blocks.1.tokens.0|token_up_1|blocks.1:transpose#0",
        "swapped|transpos|permut",
        keras=lambda: mixer(turned=False),
    ),
    MIXER.but(
        "sum for mean", ":mean#0|:sum#0|head", "mean|sum|times", keras=lambda: mixer(summed=True), by="factories"
    ),
)
