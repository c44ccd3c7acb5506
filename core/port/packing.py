"""The units of both models, with packed layers as their slices where the other model has these apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..axes import parse
from .fitting import sizes_in
from .layer import Layer
from .units import LINEAR, Key, Unit, divided, units

Prints = Callable[[Unit], frozenset[int]]


def unpacked(
    layers: dict[str, tuple[Layer, ...]], aliases: dict[str, dict[str, str]], prints: Prints
) -> dict[str, list[Unit]]:
    """The units of both sides. Attention layers come as their projections where the sides do not have as many of them.

    `prints` are the hashes of a unit's numbers.
    """
    attention = [sum(layer.role == "attention" for layer in found) for found in layers.values()]
    found = {side: units(side, layers[side], aliases[side], attention[0] != attention[1]) for side in layers}
    for side, other in (("torch", "keras"), ("keras", "torch")):
        found[side] = _split(found[side], found[other], prints)
    return found


def _split(ours: list[Unit], theirs: list[Unit], prints: Prints) -> list[Unit]:
    """Packed layers as their slices, where the other side has as many layers more of the slices' size."""
    result = ours
    for count in (3, 2, 4):
        for key in dict.fromkeys(unit.key for unit in result if unit.key[0] == LINEAR):
            if key[3] % count:
                continue
            slim = (*key[:3], key[3] // count)
            packed = _many(result, key) - _many(theirs, key)
            lacking = _many(theirs, slim) - _many(result, slim)
            if packed and packed == _many(result, key) and lacking == count * packed:
                parts = [_slices(unit, count, theirs, prints) if unit.key == key else [unit] for unit in result]
                result = [part for found in parts for part in found]
    return result


def _slices(unit: Unit, count: int, theirs: list[Unit], prints: Prints) -> list[Unit]:
    """One after another, unless the numbers, or the unit's own axes, say that every head has its own slices."""
    known = {number for other in theirs for number in prints(other)}
    size = unit.key[3] // count
    likely = [*_own(unit, count), 0, *(heads for heads in range(2, size) if size % heads == 0)]
    cuts = [found for heads in likely if (found := divided(unit, count, heads))]
    return next((found for found in cuts if all(prints(one) & known for one in found)), (cuts or [[unit]])[0])


def _own(unit: Unit, count: int) -> list[int]:
    """How many heads outputs of several axes have before the axis of the slices, or the last one that holds them."""
    sizes = [sizes_in(unit.main())[axis] for axis in parse(unit.main().axes)[-1]]
    if len(sizes) < 2:
        return []
    place = sizes.index(count) if count in sizes else len(sizes) - 1
    return [math.prod(sizes[:place]) if place else 0] if sizes[place] % count == 0 else []


def _many(units: Sequence[Unit], key: Key) -> int:
    return sum(unit.key == key for unit in units)
