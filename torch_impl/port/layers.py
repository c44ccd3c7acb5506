"""The layers of a PyTorch model that hold weights, in the order in which it holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from ...core.port.layer import CUSTOM, Layer, Slot
from . import known
from .holding import CELLS, RECURRENT, SLOTS, Holder, recurrent, stacked
from .known import Kind
from .tensors import Tensors


def layers(
    model: nn.Module, tensors: Tensors, kinds: Mapping[nn.Module, Kind]
) -> tuple[tuple[Layer, ...], dict[nn.Module, str]]:
    """The layers, and the name of the layer that each module is; the first of them where it is several.

    `kinds` are what those modules are that compute something known.
    """
    found: list[Layer] = []
    holders: dict[nn.Module, str] = {}
    inner: set[nn.Module] = set()
    for path, module in model.named_modules():
        if module in inner:
            continue
        made = [layer for layer in _of(Holder(path, module, tensors), kinds.get(module)) if layer.slots]
        if made:
            holders[module] = made[0].name
            found += made
        if isinstance(module, nn.MultiheadAttention):
            inner |= set(module.modules())
    return tuple(found), holders


def _of(held: Holder, kind: Kind | None) -> Iterator[Layer]:
    module, role, name = held.module, known.held_as(held.module, kind), held.path
    if isinstance(module, tuple(RECURRENT)):
        yield from stacked(held, role)
    elif isinstance(module, tuple(CELLS)):
        yield Layer(name, role, tuple(recurrent(held, role, "")))
    elif kind is not None and kind.slots:
        found = [slot for name, attribute in kind.slots.items() for slot in held.plain(name, attribute, "channels")]
        yield Layer(name, role, tuple(found))
    elif role in SLOTS and (slots := SLOTS[role](held)) and _covers(slots, held):
        yield Layer(name, {"transposed_dense": "dense"}.get(role, role), tuple(slots), {}, _refused(module))
    else:
        yield Layer(name, CUSTOM, tuple(SLOTS[CUSTOM](held)))


def _covers(slots: list[Slot], held: Holder) -> bool:
    """Whether the slots of a role are all that a module holds, as they are not of one that adds weights of its own."""
    known_ones = {piece.tensor for slot in slots for piece in slot.pieces}
    own = {piece.tensor for slot in SLOTS[CUSTOM](held) for piece in slot.pieces}
    return own <= known_ones


def _refused(module: nn.Module) -> str:
    if isinstance(module, nn.MultiheadAttention) and module.bias_k is not None:
        return "it adds a learnt key and value to every sequence (add_bias_kv), which no attention of Keras does"
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) and module.groups > 1:
        return f"it is a transposed convolution in {module.groups} groups, which Keras has not"
    if isinstance(module, nn.EmbeddingBag) and module.mode == "max":
        return "it takes the largest of several embeddings, which no layer of Keras does"
    return ""
