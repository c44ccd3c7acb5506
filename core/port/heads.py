"""Attention with another number of heads on the other side: the same weights, cut into heads otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .fitting import relabelled, sizes_in
from .layer import Layer, Slot

HEADS, GROUP, DEPTH = "heads", "group", "depth"
Layers = tuple[Layer, ...]


def evened(torch: Sequence[Layer], keras: Sequence[Layer]) -> dict[str, Layers]:
    """Both sides' layers, in which attention layers of unlike heads have axes that both can be cut along.

    They are paired in their order. Of two heads and four, the axes are `heads` of two, `group` of two, and the depth of
    four heads. Where neither number divides the other, the layers are left as they are.
    """
    found = {"torch": list(torch), "keras": list(keras)}
    places = [[place for place, layer in enumerate(held) if layer.role == "attention"] for held in found.values()]
    if len(places[0]) == len(places[1]):
        for own, other in zip(*places, strict=True):
            one, two = found["torch"][own], found["keras"][other]
            counts = _heads(one), _heads(two)
            few, many = sorted(counts)
            if few and few != many and many % few == 0:
                found["torch"][own], found["keras"][other] = (_cut(layer, few, many) for layer in (one, two))
    return {side: tuple(held) for side, held in found.items()}


def _heads(layer: Layer) -> int:
    return next((sizes_in(slot)[HEADS] for slot in layer.slots if HEADS in slot.axes.split()), 0)


def _cut(layer: Layer, few: int, many: int) -> Layer:
    return replace(layer, slots=tuple(_finer(slot, few, many) for slot in layer.slots))


def _finer(slot: Slot, few: int, many: int) -> Slot:
    axes = slot.axes.split()
    if axes.count(HEADS) != 1 or DEPTH not in axes:
        return slot
    own = sizes_in(slot)
    sizes = {HEADS: few, GROUP: many // few, DEPTH: own[HEADS] * own[DEPTH] // many}
    names = {DEPTH: f"{GROUP} {DEPTH}"} if own[HEADS] == few else {HEADS: f"{HEADS} {GROUP}"}
    finer = [name for axis in axes for name in ((HEADS, GROUP) if axis == HEADS else (axis,))]
    whole = {**own, **sizes}
    pieces = tuple(relabelled(piece, names, sizes) for piece in slot.pieces)
    return replace(slot, axes=" ".join(finer), shape=tuple(whole[name] for name in finer), pieces=pieces)
