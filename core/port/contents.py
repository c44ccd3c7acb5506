"""Whether two models hold the same numbers, weight by weight, and if not, whether they hold them in another order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from .. import compare, floor, verdict
from ..axes import Array, parse
from ..formulas.precisions import ROUNDINGS
from ..technique import Arrays
from .carrying import canonical
from .fingerprint import fingerprint, is_constant
from .mapping import Match, WeightMapping
from .numbers import related

AXES = 5
"""An array of more axes is not turned about in search of another order."""
SAMPLE = 64


class Content(StrEnum):
    """What two weights' numbers have to do with each other.

    `rounded` are equal but for float32's rounding, or for that of the half precision in which a side holds them;
    `reordered` are the same numbers at other places; `elsewhere` are the numbers of another weight; `constant` is one
    number all over on one side only, as of a weight never loaded.
    """

    SAME = "same"
    ROUNDED = "rounded"
    REORDERED = "reordered"
    ELSEWHERE = "elsewhere"
    CONSTANT = "constant"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Found:
    """What was found of one match: its name, and for a person which order, or whose numbers."""

    name: str
    content: Content
    note: str = ""


def contents(mapping: WeightMapping, torch: Arrays, keras: Arrays, halves: Sequence[str] = ()) -> list[Found]:
    """What the numbers of both sides have to do with each other, for every match of a mapping, in its order.

    Arrays are by each side's own names, and `halves` the types of half precision that a side's model holds, by which
    its numbers must be rounded. Raises StateError for a tensor that does not fit the mapping.
    """
    found, prints = [], {}
    for match in mapping.matches:
        ours, theirs = canonical(match, torch, "torch"), canonical(match, keras, "keras")
        found.append(_content(match, ours, theirs, halves))
        prints[match.name] = tuple(0 if is_constant(one) else fingerprint(one) for one in (ours, theirs))
    moved = _moved_about(mapping.matches, found, prints)
    return [
        replace(one, note=_related(match, torch, keras)) if one.content is Content.DIFFERENT else one
        for match, one in zip(mapping.matches, moved, strict=True)
    ]


def _content(match: Match, torch: Array, keras: Array, halves: Sequence[str]) -> Found:
    if np.array_equal(torch, keras, equal_nan=True):
        return Found(match.name, Content.SAME)
    if _close(torch, keras):
        return Found(match.name, Content.ROUNDED, "they differ by float32's rounding")
    if kind := next((kind for kind in halves if np.array_equal(ROUNDINGS[kind](torch), ROUNDINGS[kind](keras))), ""):
        return Found(match.name, Content.ROUNDED, f"they differ by the rounding of {kind}")
    if is_constant(torch) or is_constant(keras):
        side, array = ("Keras", keras) if is_constant(keras) else ("PyTorch", torch)
        value = float(array.reshape(-1)[0]) if array.size else 0.0
        return Found(match.name, Content.CONSTANT, f"{side} holds {value:g} all over")
    if note := next(_orders(match, torch, keras), ""):
        return Found(match.name, Content.REORDERED, note)
    return Found(match.name, Content.DIFFERENT)


def _related(match: Match, torch: Arrays, keras: Arrays) -> str:
    """How Keras's numbers come of PyTorch's in another way than by their places."""
    parts = {piece.tensor: piece.read(torch[piece.tensor], match.axes) for piece in match.torch}
    note = related(canonical(match, torch, "torch"), canonical(match, keras, "keras"), parts)
    whole = not any(piece.pick or piece.span for piece in (*match.torch, *match.keras))
    slot = "" if whole else ".".join(match.name.rsplit(".", 2)[-2:]) + ": "
    return f"{slot}{note}" if note else ""


def _close(torch: Array, keras: Array) -> bool:
    if not torch.size or not all(np.issubdtype(one.dtype, np.floating) for one in (torch, keras)):
        return False
    largest = np.array(max(float(np.max(np.abs(one))) for one in (torch, keras)))
    return compare.pair("", torch, keras, floor.unit(largest, floor.WIDE)).verdict == verdict.Verdict.EQUAL


def _orders(match: Match, torch: Array, keras: Array) -> Iterator[str]:
    """The other orders in which the Keras side holds PyTorch's numbers, each as a sentence."""
    names, sizes = _flat(match, torch)
    split = torch.reshape(sizes)
    space = [axis for axis, name in enumerate(names) if name in ("depth", "height", "width") and sizes[axis] > 1]
    for count in range(1, len(space) + 1):
        for axes in itertools.combinations(space, count):
            if _equal(np.flip(split, axes), keras):
                yield f"the kernel is flipped along {' and '.join(names[axis] for axis in axes)}"
    if len(names) > AXES:
        return
    raw = match.torch[0].left().split()
    for order in itertools.permutations(range(len(names))):
        if order != tuple(range(len(names))) and _equal(split.transpose(order), keras):
            yield _said(names, [names[axis] for axis in order], raw, sizes)


def _equal(one: Array, other: Array) -> bool:
    first, second = one.flat[:SAMPLE], other.flat[:SAMPLE]
    return bool(np.array_equal(first, second)) and np.array_equal(one.reshape(-1), other.reshape(-1))


def _flat(match: Match, torch: Array) -> tuple[list[str], list[int]]:
    """The names of all axes of a match with their sizes, composite ones in their parts."""
    known = {name: size for piece in (*match.torch, *match.keras) for name, size in piece.factors}
    names: list[str] = []
    sizes: list[int] = []
    for group, size in zip(parse(match.axes), torch.shape, strict=True):
        inner = [known.get(name, 0) for name in group]
        whole = len(group) > 1 and int(np.prod(inner)) == size
        names.extend(group if whole else ["·".join(group)])
        sizes.extend(inner if whole else [size])
    return names, sizes


def _said(names: Sequence[str], held: Sequence[str], raw: Sequence[str], sizes: Sequence[int]) -> str:
    swapped = [name for name, other in zip(names, held, strict=True) if name != other]
    if len(swapped) == 2 and sizes[names.index(swapped[0])] == sizes[names.index(swapped[1])]:
        return f"{swapped[0]} and {swapped[1]} are swapped"
    if list(held) == list(raw):
        return f"PyTorch's numbers, in its order ({' '.join(held)}), were taken for ({' '.join(names)})"
    return f"Keras holds them in the order ({' '.join(held)}) and not ({' '.join(names)})"


def _moved_about(matches: Sequence[Match], found: list[Found], prints: Mapping[str, tuple[int, ...]]) -> list[Found]:
    """The findings with what is said of numbers that Keras holds in the place of others."""
    owners: dict[int, list[Match]] = {}
    for match in matches:
        owners.setdefault(prints[match.name][0], []).append(match)
    owner: dict[str, Match] = {}
    for match, one in zip(matches, found, strict=True):
        whose = owners.get(prints[match.name][1], []) if prints[match.name][1] else []
        if one.content in (Content.DIFFERENT, Content.CONSTANT) and whose and match not in whose:
            owner[match.name] = next((other for other in whose if other.layers == match.layers), whose[0])
    result = []
    for match, one in zip(matches, found, strict=True):
        if match.name not in owner:
            result.append(one)
            continue
        note = _gates(match, matches, owner) or f"Keras holds the numbers of {owner[match.name].name} here"
        result.append(replace(one, content=Content.ELSEWHERE, note=note))
    return result


def _gates(match: Match, matches: Sequence[Match], owner: Mapping[str, Match]) -> str:
    """The order of the gates, where the numbers are those of other gates of the same weight."""
    stem, _, gate = match.name.rpartition(".")
    group = [other for other in matches if other.layers == match.layers and other.name.rpartition(".")[0] == stem]
    held = [owner.get(other.name, other).name.rpartition(".") for other in group]
    if not gate or len(group) < 2 or any(other != stem for other, _, _ in held):
        return ""
    expected = ", ".join(other.name.rpartition(".")[2] for other in group)
    return f"Keras holds the gates in the order {', '.join(last for _, _, last in held)} and not {expected}"
