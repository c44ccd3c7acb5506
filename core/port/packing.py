"""The units of both models, with packed layers as their slices where the other model has these apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ..axes import parse
from .fitting import sizes_in
from .layer import Layer, Trace
from .units import LINEAR, Key, Unit, divided, stretches, units

Prints = Callable[[Unit], frozenset[int]]
MOST = 5
"""A layer of more slices of unequal sizes is not looked for."""


def unpacked(
    layers: dict[str, tuple[Layer, ...]],
    aliases: dict[str, dict[str, str]],
    prints: Prints,
    traces: Mapping[str, Trace | None],
    settled: list[str],
) -> dict[str, list[Unit]]:
    """The units of both sides. Attention layers come as their projections where the sides do not have as many of them.

    `prints` are the hashes of a unit's numbers, and `settled` takes sentences on what nothing told.
    """
    attention = [sum(layer.role == "attention" for layer in found) for found in layers.values()]
    found = {side: units(side, layers[side], aliases[side], attention[0] != attention[1]) for side in layers}
    for side, other in (("torch", "keras"), ("keras", "torch")):
        found[side] = _uneven(_split(found[side], found[other], prints), found[other], prints, traces[side], settled)
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


def _uneven(
    ours: list[Unit], theirs: list[Unit], prints: Prints, trace: Trace | None, settled: list[str]
) -> list[Unit]:
    """Packed layers as slices of unequal sizes, where the other side has as many layers more of each of them.

    So are queries packed with keys and values of fewer heads.
    """
    result = ours
    for key in dict.fromkeys(unit.key for unit in ours if unit.key[0] == LINEAR):
        packed = _many(result, key)
        if _many(theirs, key) or not packed:
            continue
        near = dict.fromkeys(unit.key for unit in theirs if unit.key[:3] == key[:3] and unit.key[3] < key[3])
        lacking = {slim[3]: _many(theirs, slim) - _many(result, slim) for slim in near}
        counts = {size: many // packed for size, many in lacking.items() if many > 0 and many % packed == 0}
        sizes = next(_summing(counts, key[3]), ())
        if len(set(sizes)) < 2:
            continue
        parts = [
            _ordered(unit, sizes, theirs, prints, trace, settled) if unit.key == key else [unit] for unit in result
        ]
        result = [part for found in parts for part in found]
    return result


def _summing(counts: dict[int, int], whole: int) -> Iterator[tuple[int, ...]]:
    """Which of the sizes, each as often as it is there, make up a whole; the most of them first."""
    for many in range(len(counts), 0, -1):
        for chosen in itertools.combinations(sorted(counts, reverse=True), many):
            sizes = tuple(size for size in chosen for _ in range(counts[size]))
            if sum(sizes) == whole and len(sizes) <= MOST:
                yield sizes


def _ordered(
    unit: Unit, sizes: tuple[int, ...], theirs: list[Unit], prints: Prints, trace: Trace | None, settled: list[str]
) -> list[Unit]:
    """The slices in the order in which the other side's numbers lie, or else in which a run cuts them."""
    known = {number for other in theirs for number in prints(other)}
    orders = list(dict.fromkeys(itertools.permutations(sizes)))
    cuts = {order: found for order in orders if (found := stretches(unit, order))}
    if not cuts:
        return [unit]
    if same := [found for found in cuts.values() if all(prints(one) & known for one in found)]:
        return same[0]
    seen = _cuts(unit, trace)
    if (told := tuple(stop - start for start, stop in seen)) in cuts:
        return cuts[told]
    settled.append(
        f"the {sum(sizes)} outputs of {unit.main().pieces[0].tensor} are taken as {orders[0]}, one after another; "
        "nothing tells whether they are cut so"
    )
    return cuts[orders[0]]


def _cuts(unit: Unit, trace: Trace | None) -> list[tuple[int, int]]:
    """The stretches of its outputs that what follows a layer in a run takes, found by their numbers."""
    steps = trace.steps if trace else []
    made = next((step.outputs[0] for step in steps if step.layer == unit.layer.name and step.outputs), None)
    if made is None:
        return []
    found = set()
    for step in steps:
        if step.role in ("split", "slice") and any(array is made for array in step.inputs):
            for part in step.outputs:
                size = part.shape[-1] if part.shape[:-1] == made.shape[:-1] else 0
                starts = range(made.shape[-1] - size + 1) if size else ()
                found |= {(at, at + size) for at in starts if np.array_equal(made[..., at : at + size], part)}
    return sorted(found)


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
