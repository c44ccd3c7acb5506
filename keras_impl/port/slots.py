"""Which canonical weights each of Keras's own layers holds, and where they lie in its variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from keras import layers as kl
from keras.src.layers.convolutional.base_conv import BaseConv
from keras.src.layers.convolutional.base_conv_transpose import BaseConvTranspose
from keras.src.layers.convolutional.base_depthwise_conv import BaseDepthwiseConv

from ...core.port.layer import Slot
from ...core.port.piece import ONE
from ...core.port.roles import GATES
from .held import Held, numbered, plain
from .naming import own

SPACE = {0: "", 1: "width", 2: "height width", 3: "depth height width"}
# The order of the gates along Keras's own axis.
GATE_ORDER = {
    "lstm": ("input", "forget", "cell", "output"),
    "gru": ("update", "reset", "new"),
    "rnn": ("hidden",),
}
CELLS = {kl.LSTMCell: "lstm", kl.GRUCell: "gru", kl.SimpleRNNCell: "rnn"}


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
    return [*depthwise_kernel(held, "kernel"),
            *held.slot("bias", "(channels multiplier)", "bias", factors={"channels": channels})]  # fmt: skip


def depthwise_kernel(held: Held, attribute: str) -> list[Slot]:
    """The kernel of a depthwise convolution."""
    space = SPACE[held.layer.rank]
    return held.slot("kernel", f"{space} channels multiplier", attribute)


def pointwise(held: Held) -> list[Slot]:
    """The second part of a separable convolution."""
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


def einsum(held: Held) -> tuple[list[Slot], str]:
    """A dense layer, where the equation sums over some axes of the kernel and puts out the others."""
    layer = held.layer
    source, kernel, target = layer.equation.replace("->", ",").replace("...", "").split(",")
    shape = dict(zip(kernel, tuple(layer._kernel.shape), strict=True))
    inner = [axis for axis in source if axis in kernel and axis not in target]
    outer = [axis for axis in target if axis in kernel and axis not in source]
    bias = getattr(layer, "bias", None)
    wide = bias is None or math.prod(bias.shape) == math.prod(shape[axis] for axis in outer)
    if len(inner) + len(outer) != len(kernel) or not inner or not outer or not wide:
        return [plain(name, variable, held.names) for name, variable in own(layer)], "not a dense layer"
    label = _labels("in", inner) | _labels("out", outer)
    into, out = [_composite([label[axis] for axis in axes]) for axes in (inner, outer)]
    sizes = {label[axis]: size for axis, size in shape.items()}
    found = held.slot("kernel", f"{into} {out}", "_kernel", " ".join(label[axis] for axis in kernel), factors=sizes)
    if bias is not None:
        order = [label[axis] for axis in outer]
        lie = [ONE] * (len(bias.shape) - len(order)) + order if len(bias.shape) >= len(order) else order
        if tuple(size for size in bias.shape if size != 1) == tuple(sizes[name] for name in order if sizes[name] != 1):
            lying = " ".join(_lying(tuple(bias.shape), lie, sizes))
            found += held.slot("bias", out, "bias", lying, factors={name: sizes[name] for name in order})
    return found, ""


def _labels(end: str, axes: list[str]) -> dict[str, str]:
    return {axis: end if len(axes) == 1 else f"{end}{number}" for number, axis in enumerate(axes)}


def _lying(shape: tuple[int, ...], order: list[str], sizes: Mapping[str, int]) -> list[str]:
    """The axes of a bias that may have axes of length one between its own."""
    names, found = [name for name in order if name != ONE], []
    for size in shape:
        found.append(names.pop(0) if names and size == sizes[names[0]] else ONE)
    return found


def _composite(axes: list[str]) -> str:
    return axes[0] if len(axes) == 1 else f"({' '.join(axes)})"


LEAVES: dict[type, tuple[str, Callable[[Held], list[Slot]]]] = {
    kl.Dense: ("dense", _dense), BaseConv: ("convolution", _convolution),
    BaseDepthwiseConv: ("depthwise_convolution", _depthwise),
    BaseConvTranspose: ("transposed_convolution", _transposed),
    kl.Embedding: ("embedding", _embedding), kl.BatchNormalization: ("batch_norm", _batch_norm),
    kl.LayerNormalization: ("layer_norm", _norm), kl.GroupNormalization: ("group_norm", _norm),
    kl.RMSNormalization: ("rms_norm", _rms_norm), kl.PReLU: ("prelu", _prelu),
    kl.MultiHeadAttention: ("attention", _attention), kl.GroupQueryAttention: ("attention", _attention),
}  # fmt: skip
