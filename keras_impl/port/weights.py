"""Which canonical weights a Keras layer holds, and where they lie in its variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras import layers as kl
from keras.src.layers.convolutional.base_conv import BaseConv
from keras.src.layers.convolutional.base_conv_transpose import BaseConvTranspose
from keras.src.layers.convolutional.base_depthwise_conv import BaseDepthwiseConv
from keras.src.layers.convolutional.base_separable_conv import BaseSeparableConv

from ...core.port.layer import CUSTOM, Layer, Slot
from ...core.port.piece import ONE, Piece
from ...core.port.roles import GATES
from .naming import Names, children, own

SPACE = {0: "", 1: "width", 2: "height width", 3: "depth height width"}
# The order of the gates along Keras's own axis.
GATE_ORDER = {
    "lstm": ("input", "forget", "cell", "output"),
    "gru": ("update", "reset", "new"),
    "rnn": ("hidden",),
}
CELLS = {kl.LSTMCell: "lstm", kl.GRUCell: "gru", kl.SimpleRNNCell: "rnn"}


def known(layer: Any, classes: Mapping[type, Any], method: str = "call") -> Any:
    """What is said of a layer's class, or None for a class whose `call`, or other method, is the user's own."""
    owner = next(kind for kind in type(layer).__mro__ if method in vars(kind))
    if owner.__module__.partition(".")[0] != "keras":
        return None
    return next((classes[kind] for kind in type(layer).__mro__ if kind in classes), None)


def holds(layer: Any, classes: Mapping[type, Any]) -> Any:
    """The same for the weights that a layer holds, whatever it computes with them."""
    return known(layer, classes, "build")


class Held:
    """A layer, and the names of its variables."""

    def __init__(self, layer: Any, path: str, names: Names) -> None:
        self.layer, self.path, self.names = layer, path, names

    def at(self, child: Any) -> Held:
        """The same for a layer within it."""
        return Held(child, self.names.paths[id(child)], self.names)

    def slot(
        self, name: str, axes: str, attribute: str, order: str = "", *, buffer: bool = False,
        factors: Mapping[str, int] | None = None, pick: Mapping[str, int] | None = None,
    ) -> list[Slot]:  # fmt: skip
        """The slot that lies in one variable of the layer; nothing where it has none."""
        variable = getattr(self.layer, attribute, None)
        if variable is None or id(variable) not in self.names.names:
            return []
        tensor = self.names.names[id(variable)]
        sizes, picked = tuple((factors or {}).items()), tuple((pick or {}).items())
        piece = Piece(tensor, order or axes, sizes, picked, self.names.stored.get(tensor, ""))
        shape = piece.read(np.broadcast_to(np.False_, tuple(variable.shape)), axes).shape
        return [Slot(name, axes, tuple(shape), (piece,), trainable=not buffer)]


def _dense(held: Held) -> list[Slot]:
    return [*held.slot("kernel", "in out", "_kernel"), *held.slot("bias", "out", "bias")]


def _convolution(held: Held) -> list[Slot]:
    shape = tuple(held.layer._kernel.shape)
    space = SPACE[len(shape) - 2]
    if is_depthwise(held.layer):
        composite, factors = "(channels multiplier)", {"channels": held.layer.groups}
        order = f"{space} 1 {composite}"
        return [*held.slot("kernel", f"{space} channels multiplier", "_kernel", order, factors=factors),
                *held.slot("bias", composite, "bias", factors=factors)]  # fmt: skip
    return [*held.slot("kernel", f"{space} in out", "_kernel"), *held.slot("bias", "out", "bias")]


def is_depthwise(layer: Any) -> bool:
    """Whether an ordinary convolution has one group for each channel."""
    return layer.groups > 1 and int(layer._kernel.shape[-2]) == 1


def _depthwise(held: Held) -> list[Slot]:
    channels = int(held.layer.kernel.shape[-2])
    return [*_depthwise_kernel(held, "kernel"),
            *held.slot("bias", "(channels multiplier)", "bias", factors={"channels": channels})]  # fmt: skip


def _depthwise_kernel(held: Held, attribute: str) -> list[Slot]:
    space = SPACE[held.layer.rank]
    return held.slot("kernel", f"{space} channels multiplier", attribute)


def _pointwise(held: Held) -> list[Slot]:
    space = SPACE[held.layer.rank]
    return [*held.slot("kernel", f"{space} in out", "pointwise_kernel"), *held.slot("bias", "out", "bias")]


def _transposed(held: Held) -> list[Slot]:
    return [*held.slot("kernel", f"{SPACE[held.layer.rank]} out in", "kernel"), *held.slot("bias", "out", "bias")]


def _embedding(held: Held) -> list[Slot]:
    return held.slot("table", "tokens channels", "_embeddings")


def _norm(held: Held) -> list[Slot]:
    found = []
    for name, attribute in {"gamma": "gamma", "beta": "beta"}.items():
        variable = getattr(held.layer, attribute, None)
        axes = "channels" if variable is None or len(variable.shape) == 1 else numbered(len(variable.shape))
        found += held.slot(name, axes, attribute)
    return found


def _batch_norm(held: Held) -> list[Slot]:
    return [*_norm(held), *held.slot("mean", "channels", "moving_mean", buffer=True),
            *held.slot("variance", "channels", "moving_variance", buffer=True)]  # fmt: skip


def _rms_norm(held: Held) -> list[Slot]:
    return held.slot("gamma", "channels", "scale")


def _prelu(held: Held) -> list[Slot]:
    rank = len(held.layer.alpha.shape)
    return held.slot("alpha", "channels", "alpha", " ".join([ONE] * (rank - 1) + ["channels"]))


def _attention(held: Held) -> list[Slot]:
    layer, found = held.layer, []
    for name, child in (("query", layer._query_dense), ("key", layer._key_dense), ("value", layer._value_dense)):
        found += held.at(child).slot(f"{name}.kernel", "in heads depth", "_kernel")
        found += held.at(child).slot(f"{name}.bias", "heads depth", "bias")
    inner = held.at(layer._output_dense)
    return [
        *found,
        *inner.slot("output.kernel", "heads depth out", "_kernel"),
        *inner.slot("output.bias", "out", "bias"),
    ]


def recurrent(held: Held, role: str) -> list[Slot]:
    """The weights of one cell, gate by gate."""
    order, found = GATE_ORDER[role], []
    if role == "rnn":
        found += held.slot("kernel.hidden", "in out", "kernel")
        found += held.slot("recurrent_kernel.hidden", "in out", "recurrent_kernel")
        return found + held.slot("bias.hidden", "out", "bias")
    count = {"gate": len(order)}
    for kind, attribute in (("kernel", "kernel"), ("recurrent_kernel", "recurrent_kernel")):
        for gate in GATES[role]:
            pick = {"gate": order.index(gate)}
            found += held.slot(f"{kind}.{gate}", "in out", attribute, "in (gate out)", factors=count, pick=pick)
    bias = getattr(held.layer, "bias", None)
    if bias is None:
        return found
    for part, kind in enumerate(("bias", "recurrent_bias") if len(bias.shape) == 2 else ("bias",)):
        for gate in GATES[role]:
            pick = {"gate": order.index(gate)}
            if len(bias.shape) == 2:
                pick, axes = {"part": part, **pick}, "part (gate out)"
            else:
                axes = "(gate out)"
            found += held.slot(f"{kind}.{gate}", "out", "bias", axes, factors=count, pick=pick)
    return found


def numbered(rank: int) -> str:
    """Axes without a meaning."""
    return " ".join(f"axis{index}" for index in range(rank)) or ""


LEAVES: dict[type, tuple[str, Callable[[Held], list[Slot]]]] = {
    kl.Dense: ("dense", _dense), BaseConv: ("convolution", _convolution),
    BaseDepthwiseConv: ("depthwise_convolution", _depthwise),
    BaseConvTranspose: ("transposed_convolution", _transposed),
    kl.Embedding: ("embedding", _embedding), kl.BatchNormalization: ("batch_norm", _batch_norm),
    kl.LayerNormalization: ("layer_norm", _norm), kl.GroupNormalization: ("group_norm", _norm),
    kl.RMSNormalization: ("rms_norm", _rms_norm), kl.PReLU: ("prelu", _prelu),
    kl.MultiHeadAttention: ("attention", _attention), kl.GroupQueryAttention: ("attention", _attention),
}  # fmt: skip


def layers(names: Names, settings: Callable[[Any, str], Mapping[str, Any]]) -> tuple[Layer, ...]:
    """Every layer that holds weights, in the order of the model."""
    return tuple(_layers(Held(names.layers[""], "", names), settings, set()))


def _layers(held: Held, settings: Callable[[Any, str], Mapping[str, Any]], seen: set[int]) -> Iterator[Layer]:
    layer = held.layer
    if id(layer) in seen:
        return
    seen.add(id(layer))
    found = list(_known(held, settings))
    taken = {piece.tensor for one in found for slot in one.slots for piece in slot.pieces}
    inside = {id(child) for _, child in children(layer)} if not found else set()
    for _, child in children(layer):
        if id(child) in inside:
            yield from _layers(held.at(child), settings, seen)
    if found:
        yield from (one for one in found if one.slots)
        return
    rest = [(name, variable) for name, variable in own(layer) if held.names.names[id(variable)] not in taken]
    rest = [
        (name, variable) for name, variable in rest if held.names.owners[held.names.names[id(variable)]] == held.path
    ]
    if rest:
        yield Layer(held.path, CUSTOM, tuple(_plain(name, variable, held.names) for name, variable in rest))


def _plain(name: str, variable: Any, names: Names) -> Slot:
    tensor, shape = names.names[id(variable)], tuple(variable.shape)
    axes = numbered(len(shape))
    return Slot(
        name, axes, shape, (Piece(tensor, axes, stored=names.stored.get(tensor, "")),), bool(variable.trainable)
    )


def _known(held: Held, settings: Callable[[Any, str], Mapping[str, Any]]) -> Iterator[Layer]:
    layer = held.layer
    if holds(layer, {kl.RNN: True}) or holds(layer, dict.fromkeys((kl.LSTM, kl.GRU, kl.SimpleRNN), True)):
        yield from _recurrent(held, settings)
    elif role := holds(layer, CELLS):
        yield from _cell(held, role, held.path, settings(layer, role))
    elif holds(layer, {BaseSeparableConv: True}):
        yield Layer(
            f"{held.path}/depthwise", "depthwise_convolution", tuple(_depthwise_kernel(held, "depthwise_kernel"))
        )
        yield Layer(f"{held.path}/pointwise", "convolution", tuple(_pointwise(held)))
    elif holds(layer, {kl.EinsumDense: True}):
        slots, refused = _einsum(held)
        yield Layer(held.path, "dense" if not refused else CUSTOM, tuple(slots), settings(layer, "dense"))
    elif found := holds(layer, LEAVES):
        role, slots_of = found
        role = "depthwise_convolution" if role == "convolution" and is_depthwise(layer) else role
        if refused := _refused(layer, role):
            plain = tuple(_plain(name, variable, held.names) for name, variable in own(layer))
            yield Layer(held.path, role, plain, settings(layer, role), refused)
        else:
            slots = tuple(slots_of(held))
            yield Layer(held.path, role, slots, settings(layer, role), _left(layer, held, slots))


def _refused(layer: Any, role: str) -> str:
    if role == "prelu" and math.prod(layer.alpha.shape) != int(layer.alpha.shape[-1]):
        return "its slopes are not shared over space, which PyTorch's PReLU cannot express: set shared_axes"
    if role == "batch_norm" and getattr(layer, "renorm", False):
        return "it renormalises batches (renorm=True), which PyTorch's BatchNorm cannot express"
    return ""


def _left(layer: Any, held: Held, slots: Sequence[Slot]) -> str:
    """Why a known layer that holds more than its class should cannot be expressed."""
    taken = {piece.tensor for slot in slots for piece in slot.pieces}
    inner = [variable for variable in layer.weights if held.names.names.get(id(variable), "") not in taken]
    if not inner:
        return ""
    return f"it holds {', '.join(held.names.names[id(one)] for one in inner)} besides, which PyTorch has no place for"


def _recurrent(held: Held, settings: Callable[[Any, str], Mapping[str, Any]]) -> Iterator[Layer]:
    layer = held.layer
    cells = layer.cell.cells if isinstance(layer.cell, kl.StackedRNNCells) else [layer.cell]
    roles = [holds(cell, CELLS) for cell in cells]
    if all(roles):
        for number, (cell, role) in enumerate(zip(cells, roles, strict=True)):
            path = held.path if len(cells) == 1 else f"{held.path}/{number}"
            yield from _cell(held.at(cell), role, path, settings(layer, role))


def _cell(held: Held, role: str, path: str, settings: Mapping[str, Any]) -> Iterator[Layer]:
    refused = ""
    if role == "gru" and not held.layer.reset_after:
        refused = (
            "it resets the state before the recurrent product (reset_after=False), which PyTorch's GRU cannot express"
        )
    yield Layer(path, role, tuple(recurrent(held, role)), settings, refused)


def _einsum(held: Held) -> tuple[list[Slot], str]:
    """A dense layer, where the equation sums over some axes of the kernel and puts out the others."""
    layer = held.layer
    source, kernel, target = layer.equation.replace("->", ",").replace("...", "").split(",")
    shape = dict(zip(kernel, tuple(layer._kernel.shape), strict=True))
    inner = [axis for axis in kernel if axis in source and axis not in target]
    outer = [axis for axis in kernel if axis in target and axis not in source]
    bias = getattr(layer, "bias", None)
    wide = bias is None or math.prod(bias.shape) == math.prod(shape[axis] for axis in outer)
    if len(inner) + len(outer) != len(kernel) or not inner or not outer or not wide:
        return [_plain(name, variable, held.names) for name, variable in own(layer)], "not a dense layer"
    label = {axis: f"in{i}" for i, axis in enumerate(inner)} | {axis: f"out{i}" for i, axis in enumerate(outer)}
    into, out = [_composite([label[axis] for axis in axes]) for axes in (inner, outer)]
    found = held.slot("kernel", f"{into} {out}", "_kernel", " ".join(label[axis] for axis in kernel))
    if bias is not None:
        order = [label[axis] for axis in target if axis in outer]
        sizes = {label[axis]: size for axis, size in shape.items()}
        lie = [ONE] * (len(bias.shape) - len(order)) + order if len(bias.shape) >= len(order) else order
        if tuple(size for size in bias.shape if size != 1) == tuple(sizes[name] for name in order if sizes[name] != 1):
            found += held.slot("bias", out, "bias", " ".join(_lying(tuple(bias.shape), lie, sizes)))
    return found, ""


def _lying(shape: tuple[int, ...], order: list[str], sizes: Mapping[str, int]) -> list[str]:
    """The axes of a bias that may have axes of length one between its own."""
    names, found = [name for name in order if name != ONE], []
    for size in shape:
        found.append(names.pop(0) if names and size == sizes[names[0]] else ONE)
    return found


def _composite(axes: list[str]) -> str:
    return axes[0] if len(axes) == 1 else f"({' '.join(axes)})"
