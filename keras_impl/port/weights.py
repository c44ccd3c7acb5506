"""Every layer of a model that holds weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from keras import layers as kl
from keras.src.layers.convolutional.base_separable_conv import BaseSeparableConv

from ...core.port.layer import CUSTOM, Layer, Slot
from .held import Held, holds, plain
from .naming import Names, children, own
from .slots import CELLS, LEAVES, depthwise_kernel, einsum, is_depthwise, pointwise, recurrent


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
        yield Layer(held.path, CUSTOM, tuple(plain(name, variable, held.names) for name, variable in rest))


def _known(held: Held, settings: Callable[[Any, str], Mapping[str, Any]]) -> Iterator[Layer]:
    layer = held.layer
    if holds(layer, {kl.RNN: True}) or holds(layer, dict.fromkeys((kl.LSTM, kl.GRU, kl.SimpleRNN), True)):
        yield from _recurrent(held, settings)
    elif role := holds(layer, CELLS):
        yield from _cell(held, role, held.path, settings(layer, role))
    elif holds(layer, {BaseSeparableConv: True}):
        yield Layer(
            f"{held.path}/depthwise", "depthwise_convolution", tuple(depthwise_kernel(held, "depthwise_kernel"))
        )
        yield Layer(f"{held.path}/pointwise", "convolution", tuple(pointwise(held)))
    elif holds(layer, {kl.EinsumDense: True}):
        slots, refused = einsum(held)
        yield Layer(held.path, "dense" if not refused else CUSTOM, tuple(slots), settings(layer, "dense"))
    elif found := holds(layer, LEAVES):
        role, slots_of = found
        role = "depthwise_convolution" if role == "convolution" and is_depthwise(layer) else role
        if refused := _refused(layer, role):
            slots = tuple(plain(name, variable, held.names) for name, variable in own(layer))
            yield Layer(held.path, role, slots, settings(layer, role), refused)
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
