"""Models as users write them, trained wholly in one framework or begun there and gone on in the other."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import compare, floor
from diglot.core.measured import Job, Measured
from diglot.core.port import carrying, handover
from diglot.core.port.mapping import WeightMapping
from diglot.core.registry import make
from diglot.core.technique import Arrays
from diglot.core.verdict import Verdict
from diglot.keras_impl import backend as keras_backend
from diglot.keras_impl.port.naming import named
from diglot.keras_impl.precision import precision
from diglot.torch_impl import backend as torch_backend
from diglot.torch_impl.port.tensors import Tensors
from torch import nn

import diglot

RATE = 2.0**-6
BETAS = (0.875, 0.96875)  # which float32 holds, through which Python's floats pass in TensorFlow
SCHEDULES, KERAS_SCHEDULES = torch.optim.lr_scheduler, keras.optimizers.schedules


class Pictures(nn.Module):
    """A convolution with BatchNorm, and a dense layer behind a flattened feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3, eps=2**-10, momentum=0.5)
        self.head = nn.Linear(3 * 2 * 2, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(torch.flatten(torch.tanh(self.norm(self.conv(x))), 1))
        return found


class Words(nn.Module):
    """An LSTM whose second bias is frozen at zero, as Keras's has only one."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.lstm, self.head = nn.Embedding(9, 4), nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 2)
        self.lstm.bias_hh_l0.requires_grad_(False).zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.lstm(self.table(x))[0][:, -1])
        return found


def pictures() -> keras.Model:
    x = entry = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(3, 3, name="features")(x)
    x = keras.layers.BatchNormalization(momentum=0.5, epsilon=2**-10, name="scaled")(x)
    x = keras.layers.Flatten()(keras.layers.Activation("tanh")(x))
    return keras.Model(entry, keras.layers.Dense(12, name="scores")(x))


def words() -> keras.Model:
    layers = [keras.layers.Embedding(9, 4, name="table"), keras.layers.LSTM(3, unroll=True, name="memory")]
    head = keras.layers.Dense(2, name="scores")
    return keras.Sequential([keras.Input((3,), dtype="int32"), *layers, head])


def inputs(kind: str, step: int) -> np.ndarray:
    rng = np.random.default_rng(step)
    return rng.standard_normal((3, 4, 4, 2)) if kind == "pictures" else rng.integers(0, 9, (3, 3))


KINDS: dict[str, tuple[type[nn.Module], Callable[[], keras.Model], int]] = {
    "pictures": (Pictures, pictures, 12),
    "words": (Words, words, 2),
}


def ours(name: str, **fields: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Optimizers of a technique on both sides."""
    spec = make(name, **{"learning_rate": RATE, **fields})
    return (
        lambda model: torch_backend.sibling(spec).build(spec, [w for w in model.parameters() if w.requires_grad]),
        lambda model: keras_backend.sibling(spec).build(spec, model.trainable_variables),
    )


def native(name: str, options: dict[str, Any], theirs: dict[str, Any]) -> tuple[Any, Any]:
    """The frameworks' own optimizers."""
    return (
        lambda model: getattr(torch.optim, name)(model.parameters(), lr=RATE, **options),
        lambda model: getattr(keras.optimizers, name)(RATE, **theirs),
    )


MOMENTUM = native("SGD", {"momentum": 0.875}, {"momentum": 0.875})
CASES = {
    "sgd": native("SGD", {}, {}),
    "momentum": MOMENTUM,
    "nesterov": native(
        "SGD", {"momentum": 0.875, "nesterov": True}, {"momentum": 0.875, "nesterov": True}
    ),
    "our_adam": ours("adam", beta_1=0.875, beta_2=0.96875, epsilon=2**-10, weight_decay=2**-4),
    "our_adamw": ours("adamw", beta_1=0.875, beta_2=0.96875, epsilon=2**-10, weight_decay=2**-4),
    "our_rmsprop": ours("rmsprop", rho=0.875, epsilon=2**-10, momentum=0.5, centered=True, learning_rate=RATE),
    "our_adafactor": ours("adafactor", learning_rate=0.25, epsilon_1=2**-10, epsilon_2=2**-10, decay_exponent=0.75),
}  # fmt: skip


ADAM = CASES["our_adam"]


class Training(Measured):
    """One training of a model: wholly in one framework, or begun there and gone on in the other.

    With `begins` unset both sides take all steps. `state` holds PyTorch's first weights.
    """

    seed, begins, steps = 0, "torch", 3
    schedules: tuple[Callable[[Any], Any] | None, Callable[[], Any] | None] = (None, None)
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, kind: str, optimizers: tuple[Callable[[Any], Any], Callable[[Any], Any]]) -> None:
        self.kind, self.optimizers = kind, optimizers
        torch.manual_seed(1)
        self.state = Tensors(self.model("torch")).arrays()
        self.map = mapping(kind)

    def model(self, side: str) -> Any:
        first, second, _ = KINDS[self.kind]
        return first().double() if side == "torch" else second()

    def run(self, side: str, job: Job, batches: list[Arrays], move: str | None = None, throw: int = 0) -> Arrays:
        coins, state = self.coins(side, throw), self.state
        if move:
            state = floor.moved(state, coins, move)
            state["lstm.bias_hh_l0"] = self.state.get("lstm.bias_hh_l0", np.empty(0))
            batches = [floor.moved(batch, coins + 1000 * step, move) for step, batch in enumerate(batches)]
        return job(side, {name: array for name, array in state.items() if array.size}, batches)

    def begun(self, side: str, state: Arrays) -> tuple[Any, Any, Any]:
        """A model with these weights, a new optimizer and its schedule."""
        model = self.model(side)
        if side == "torch":
            Tensors(model).write(state)
        else:
            fill(model, carrying.carried(self.map, state, held(model), "keras"))
        return model, *self.built(side, model)

    def built(self, side: str, model: Any) -> tuple[Any, Any]:
        optimizer, schedule = self.optimizers[side == "keras"](model), self.schedules[side == "keras"]
        if schedule is None or side == "torch":
            return optimizer, None if schedule is None else schedule(optimizer)
        optimizer.learning_rate = schedule()  # type: ignore[call-arg]
        return optimizer, None

    def job(self, side: str, state: Arrays, batches: list[Arrays]) -> Arrays:
        if self.begins in (None, side):
            model, optimizer, schedule = self.begun(side, state)
            self.take(side, model, optimizer, schedule, batches)
            return self.weights(side, model)
        half = len(batches) // 2
        model, optimizer, schedule = self.begun(self.begins, state)
        self.take(self.begins, model, optimizer, schedule, batches[:half])
        other = self.model(side)
        new, rates = self.built(side, other)
        given = {"source_schedule": schedule, "target_schedule": rates, "map": self.map, **self.options}
        found = diglot.hand_over(model, optimizer, other, new, **given)
        self.spoil(other, found)
        self.take(side, other, found.optimizer, found.schedule, batches[half:])
        return self.weights(side, other)

    def spoil(self, model: Any, found: handover.HandedOver) -> None:
        """What a mistake would do."""

    def weights(self, side: str, model: Any) -> Arrays:
        """Every weight that is trained, canonical."""
        arrays = Tensors(model).arrays() if side == "torch" else held(model)
        return {m.name: carrying.canonical(m, arrays, side) for m in self.map.matches if m.trainable}

    def take(self, side: str, model: Any, optimizer: Any, schedule: Any, batches: list[Arrays]) -> None:
        for batch in batches:
            (self.step_of_torch if side == "torch" else self.step_of_keras)(model, optimizer, batch)
            if schedule is not None and side == "torch":
                schedule.step()

    def step_of_torch(self, model: Any, optimizer: Any, batch: Arrays) -> None:
        x = batch["inputs"].transpose(0, 3, 1, 2) if self.kind == "pictures" else batch["inputs"]
        optimizer.zero_grad()
        ((model.train()(torch.tensor(x)) - torch.tensor(batch["targets"])) ** 2).mean().backward()
        optimizer.step()

    def step_of_keras(self, model: Any, optimizer: Any, batch: Arrays) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(batch["inputs"], training=True) - batch["targets"]) ** 2)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    def worst(self) -> compare.Comparison:
        _, _, out = KINDS[self.kind]
        targets = np.random.default_rng(99).standard_normal((2 * self.steps, 3, out))
        batches = [{"inputs": inputs(self.kind, step), "targets": target} for step, target in enumerate(targets)]
        found = compare.worst(self.measure(self.job, batches))
        assert found is not None
        return found


def held(model: Any) -> Arrays:
    return {name: np.array(variable) for name, variable in named(model).variables.items()}


def fill(model: Any, arrays: Arrays) -> None:
    for name, array in arrays.items():
        named(model).variables[name].assign(array)


_MAPPINGS: dict[str, WeightMapping] = {}


def mapping(kind: str) -> WeightMapping:
    """Which weight is which, found once."""
    if kind not in _MAPPINGS:
        first, second, _ = KINDS[kind]
        _MAPPINGS[kind] = diglot.transfer(first().double(), second(), inputs=inputs(kind, 0))
    return _MAPPINGS[kind]


def cosine(optimizer: Any) -> Any:
    return SCHEDULES.CosineAnnealingLR(optimizer, 20)


def warm(optimizer: Any) -> Any:
    rising = SCHEDULES.LinearLR(optimizer, 0.25, 1.0, 3)
    return SCHEDULES.SequentialLR(optimizer, [rising, SCHEDULES.CosineAnnealingLR(optimizer, 20)], [3])


SCHEDULED: dict[str, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    "cosine": (cosine, lambda: KERAS_SCHEDULES.CosineDecay(np.float64(RATE), 20)),
    "steps": (
        lambda optimizer: SCHEDULES.StepLR(optimizer, 3, 0.5),
        lambda: KERAS_SCHEDULES.ExponentialDecay(np.float64(RATE), 3, np.float64(0.5), staircase=True),
    ),
    "warm": (
        warm,
        lambda: KERAS_SCHEDULES.CosineDecay(np.float64(RATE / 4), 20, warmup_target=np.float64(RATE), warmup_steps=3),
    ),
}


class Double(unittest.TestCase):
    """A user's models in float64."""

    def setUp(self) -> None:
        self.enterContext(precision("float64"))

    def assert_equal(self, training: Training) -> None:
        worst = training.worst()
        self.assertEqual(worst.verdict, Verdict.EQUAL, worst)
