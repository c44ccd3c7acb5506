"""Which canonical weights a PyTorch module holds, and where they lie in its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from ...core.port.layer import CUSTOM, Layer, Slot
from ...core.port.piece import Piece
from ...core.port.roles import GATES
from .tensors import Tensors, places

SPACES = {0: "", 1: "width", 2: "height width", 3: "depth height width"}
RECURRENT: dict[type[nn.Module], str] = {nn.LSTM: "lstm", nn.GRU: "gru", nn.RNN: "rnn"}
CELLS: dict[type[nn.Module], str] = {nn.LSTMCell: "lstm", nn.GRUCell: "gru", nn.RNNCell: "rnn"}
NORMS = {"gamma": "weight", "beta": "bias"}
BATCH_NORMS = NORMS | {"mean": "running_mean", "variance": "running_var"}


@dataclass
class Holder:
    """A module and the name under which its tensors are found."""

    path: str
    module: nn.Module
    tensors: Tensors

    def tensor(self, attribute: str) -> str:
        """The name of a tensor of the module, or the empty string where it has none of that name."""
        name = f"{self.path}.{attribute}" if self.path else attribute
        name = self.tensors.aliases.get(name, name)
        return name if name in self.tensors else ""

    def shape(self, attribute: str) -> tuple[int, ...]:
        """The shape of one of its tensors."""
        return tuple(self.tensors[self.tensor(attribute)].get().shape)

    def slot(self, name: str, axes: str, *pieces: tuple[str, str, dict[str, int], dict[str, int]]) -> list[Slot]:
        """The slot whose pieces are (attribute, axes, factors, pick), or nothing where the module lacks them."""
        found = [
            Piece(self.tensor(attribute), order, tuple(factors.items()), tuple(pick.items()))
            for attribute, order, factors, pick in pieces
            if self.tensor(attribute)
        ]
        if not found:
            return []
        place = self.tensors[found[0].tensor]
        shape = found[0].read(_like(place.get()), axes).shape
        return [Slot(name, axes, tuple(shape), tuple(found), trainable=not place.buffer)]

    def plain(self, name: str, attribute: str, axes: str, order: str = "", **factors: int) -> list[Slot]:
        """A slot that is all of one tensor."""
        return self.slot(name, axes, (attribute, order or axes, factors, {}))


def _like(tensor: Any) -> Any:
    return np.broadcast_to(np.zeros((), np.bool_), tuple(tensor.shape))


def dense(held: Holder) -> list[Slot]:
    return [*held.plain("kernel", "weight", "in out", "out in"), *held.plain("bias", "bias", "out")]


def transposed_dense(held: Holder) -> list[Slot]:
    return [*held.plain("kernel", "weight", "in out"), *held.plain("bias", "bias", "out")]


def convolution(held: Holder) -> list[Slot]:
    space = SPACES[len(held.shape("weight")) - 2]
    return [
        *held.plain("kernel", "weight", f"{space} in out", f"out in {space}"),
        *held.plain("bias", "bias", "out"),
    ]


def depthwise(held: Holder) -> list[Slot]:
    space, channels = SPACES[len(held.shape("weight")) - 2], int(held.module.in_channels)  # type: ignore[arg-type]
    composite = "(channels multiplier)"
    order = f"{composite} 1 {space}"
    return [
        *held.plain("kernel", "weight", f"{space} channels multiplier", order, channels=channels),
        *held.plain("bias", "bias", composite, channels=channels),
    ]


def transposed_convolution(held: Holder) -> list[Slot]:
    space = SPACES[len(held.shape("weight")) - 2]
    return [
        *held.plain("kernel", "weight", f"{space} out in", f"in out {space}"),
        *held.plain("bias", "bias", "out"),
    ]


def embedding(held: Holder) -> list[Slot]:
    return held.plain("table", "weight", "tokens channels")


def norm(held: Holder) -> list[Slot]:
    found = []
    for name, attribute in BATCH_NORMS.items():
        if held.tensor(attribute):
            rank = len(held.shape(attribute))
            found += held.plain(name, attribute, "channels" if rank == 1 else _axes(rank))
    return found


def prelu(held: Holder) -> list[Slot]:
    return held.plain("alpha", "weight", "channels")


def attention(held: Holder) -> list[Slot]:
    heads = int(held.module.num_heads)  # type: ignore[arg-type]
    found, factors = [], {"heads": heads}
    for index, name in enumerate(("query", "key", "value")):
        kernel, bias, pick = "(heads depth) in", "(heads depth)", {}
        packed = bool(held.tensor("in_proj_weight"))
        if packed:
            kernel, pick = "(projection heads depth) in", {"projection": index}
        sizes = factors | ({"projection": 3} if packed else {})
        weight = "in_proj_weight" if packed else f"{name[0]}_proj_weight"
        found += held.slot(f"{name}.kernel", "in heads depth", (weight, kernel, sizes, pick))
        bias = "(projection heads depth)"
        pick, sizes = {"projection": index}, factors | {"projection": 3}
        found += held.slot(f"{name}.bias", "heads depth", ("in_proj_bias", bias, sizes, pick))
    found += held.plain("output.kernel", "out_proj.weight", "heads depth out", "out (heads depth)", **factors)
    return found + held.plain("output.bias", "out_proj.bias", "out")


def recurrent(held: Holder, role: str, suffix: str) -> list[Slot]:
    """The weights of one layer and direction. `suffix` is `_l0`, `_l0_reverse` …, and nothing for a cell."""
    gates = GATES[role]
    found: list[Slot] = []
    for index, gate in enumerate(gates):
        factors, pick = ({"gate": len(gates)}, {"gate": index}) if len(gates) > 1 else ({}, {})
        out = "(gate out)" if len(gates) > 1 else "out"
        found += held.slot(f"kernel.{gate}", "in out", (f"weight_ih{suffix}", f"{out} in", factors, pick))
        found += held.slot(f"recurrent_kernel.{gate}", "in out", (f"weight_hh{suffix}", f"{out} in", factors, pick))
        first, second = [(f"bias_{word}{suffix}", out, factors, pick) for word in ("ih", "hh")]
        if role == "gru":
            found += held.slot(f"bias.{gate}", "out", first) + held.slot(f"recurrent_bias.{gate}", "out", second)
        else:
            found += held.slot(f"bias.{gate}", "out", first, second)
    return sorted(found, key=lambda slot: KINDS.index(slot.name.split(".")[0]))


KINDS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")


def _axes(rank: int) -> str:
    return " ".join(f"axis{axis}" for axis in range(rank))


def custom(held: Holder) -> list[Slot]:
    """The module's own floats as they are; whole numbers are no weights."""
    found = []
    for place in places(held.module):
        if place.get().is_floating_point() and held.tensor(place.attribute):
            found += held.plain(place.attribute, place.attribute, _axes(place.get().ndim))
    return found


SLOTS: dict[str, Callable[[Holder], list[Slot]]] = {
    "dense": dense,
    "transposed_dense": transposed_dense,
    "convolution": convolution,
    "depthwise_convolution": depthwise,
    "transposed_convolution": transposed_convolution,
    "embedding": embedding,
    "batch_norm": norm,
    "layer_norm": norm,
    "group_norm": norm,
    "rms_norm": norm,
    "prelu": prelu,
    "attention": attention,
    CUSTOM: custom,
}


def stacked(held: Holder, role: str) -> Iterator[Layer]:
    """Each layer and direction of a recurrent module as a layer of its own."""
    module: Any = held.module
    refused = ""
    if getattr(module, "proj_size", 0):
        refused = "its hidden state is projected (proj_size), which no recurrent layer of Keras does"
    for number in range(module.num_layers):
        for direction in ("", "_reverse")[: 2 if module.bidirectional else 1]:
            name = f"{held.path}.l{number}{direction}".lstrip(".")
            yield Layer(name, role, tuple(recurrent(held, role, f"_l{number}{direction}")), {}, refused)
