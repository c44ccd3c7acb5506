"""How one side's weight lies in the other's: the axes that both have, where one of them folds or drops some."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..axes import parse, render
from .layer import Slot
from .piece import ONE, Piece, words

Group = tuple[tuple[str, ...], int]
MOST = 4
"""An array of more axes is not turned about in search of its counterpart's shape."""


@dataclass(frozen=True)
class Fit:
    """The axes of a weight that both sides hold, and each side's pieces in these names."""

    axes: str
    torch: tuple[Piece, ...]
    keras: tuple[Piece, ...]

    def part(self, axis: str, start: int, stop: int, whole: int) -> Fit:
        """A stretch of an axis of so many features, the same on both sides."""
        torch, keras = [
            tuple(replace(piece, span=(words(piece.axes).index(axis), start, stop, whole)) for piece in pieces)
            for pieces in (self.torch, self.keras)
        ]
        return Fit(self.axes, torch, keras)

    def folded(self, axis: str, torch: tuple[str, ...], keras: tuple[str, ...], sizes: Mapping[str, int]) -> Fit:
        """The same, with an axis of features in its parts, in each side's own order."""
        inner = {side: {axis: " ".join(names)} for side, names in (("torch", torch), ("keras", keras))}
        groups = [keras if group == (axis,) else group for group in parse(self.axes)]
        return Fit(
            render(tuple(groups)),
            tuple(relabelled(piece, inner["torch"], sizes) for piece in self.torch),
            tuple(relabelled(piece, inner["keras"], sizes) for piece in self.keras),
        )

    def spread(
        self, axes: tuple[str, ...], torch: tuple[str, ...], keras: tuple[str, ...], sizes: Mapping[str, int]
    ) -> Fit:
        """The same, with features that Keras has in several axes by the names of a map's; `` for one of length one."""
        ours = {axes[0]: " ".join(torch), **dict.fromkeys(axes[1:], "")}
        named = tuple(name for name in keras if name)
        return Fit(
            render(tuple(named if group == axes else group for group in parse(self.axes))),
            tuple(relabelled(piece, ours, sizes) for piece in self.torch),
            tuple(relabelled(piece, dict(zip(axes, keras, strict=True)), sizes) for piece in self.keras),
        )


def fits(torch: Slot, keras: Slot, turned: bool = False, rule: tuple[int, ...] = ()) -> list[Fit]:
    """The ways in which the two may be one weight, the one in the canonical order first; none where sizes do not fit.

    Axes of length one are dropped where the other has none of them, and several axes of one side may be one of the
    other's, or be cut elsewhere. With `turned`, for tensors whose axes nobody has named, other orders follow. `rule` is
    the order in which Keras has PyTorch's axes, where that is known.
    """
    first, second = _groups(torch), _groups(keras)
    found = []
    for order in [rule] if rule else _orders(first, turned):
        blocks = _blocks([first[index] for index in order], second)
        fit = None if blocks is None else _fit(torch, keras, blocks)  # a scalar has none
        if fit and fit not in found:
            found.append(fit)
    return found


def relabelled(piece: Piece, names: Mapping[str, str], sizes: Mapping[str, int]) -> Piece:
    """The same part of the tensor with other names of its axes, or several names for one axis; `` drops one of one.

    `sizes` are those of the new names, where they cannot be told from the tensor's shape.
    """
    kept = []
    for word in words(piece.axes):
        inner = [names.get(name, name) for name in word.strip("()").split()]
        left = " ".join(inner).split()
        kept.append(ONE if not left else left[0] if len(left) == 1 else f"({' '.join(left)})")
    axes = " ".join(kept)
    present = set(axes.replace("(", " ").replace(")", " ").split())
    factors = {**{names.get(name, name): size for name, size in piece.factors}, **sizes}
    composite = {name for word in axes.split("(")[1:] for name in word.split(")")[0].split()}
    kept_factors = tuple((name, size) for name, size in factors.items() if name in present & composite)
    pick = tuple((names.get(name, name), index) for name, index in piece.pick)
    return replace(piece, axes=axes, factors=kept_factors, pick=pick)


def sizes_in(slot: Slot) -> dict[str, int]:
    """The size of every axis name of a slot, of a composite axis as its pieces say."""
    known = dict(slot.pieces[0].factors)
    found = {}
    for group, size in zip(parse(slot.axes), slot.shape, strict=True):
        for name in group:
            found[name] = size if len(group) == 1 else known.get(name, 0)
        unknown = [name for name in group if not found[name]]
        if len(unknown) == 1:
            found[unknown[0]] = size // max(1, math.prod(found[name] for name in group if found[name]))
    return found


def _groups(slot: Slot) -> list[Group]:
    return list(zip(parse(slot.axes), slot.shape, strict=True))


def _orders(first: list[Group], turned: bool) -> list[tuple[int, ...]]:
    same = tuple(range(len(first)))
    moved = [place for place in same if first[place][1] != 1]
    if not turned or len(moved) > MOST:
        return [same]
    ones = [place for place in same if place not in moved]
    kernel = [(*moved[2:], moved[1], moved[0])] if len(moved) == MOST else []  # a convolution's, of two spatial axes
    orders = [*kernel, *itertools.permutations(moved)]
    return list(dict.fromkeys([same, *((*ones, *order) for order in orders)]))


def _blocks(first: list[Group], second: list[Group]) -> list[tuple[list[Group], list[Group]]] | None:
    """Runs of axes of the one side that hold what runs of the other's do."""
    if [size for _, size in first] == [size for _, size in second]:
        return [([one], [other]) for one, other in zip(first, second, strict=True)]
    one, other = [[group for group in groups if group[1] != 1] for groups in (first, second)]
    blocks = []
    while one and other:
        left, right = [one.pop(0)], [other.pop(0)]
        while (sizes := (_size(left), _size(right)))[0] != sizes[1]:
            shorter, rest = (left, one) if sizes[0] < sizes[1] else (right, other)
            if not rest:
                return None
            shorter.append(rest.pop(0))
        if min(len(left), len(right)) > 1 and not _parts(left, right):
            return None
        blocks.append((left, right))
    dropped: list[tuple[list[Group], list[Group]]] = [([group], []) for group in first if group[1] == 1]
    return None if one or other else [*blocks, *dropped, *(([], [group]) for group in second if group[1] == 1)]


def _size(groups: list[Group]) -> int:
    return math.prod(size for _, size in groups)


def _fit(torch: Slot, keras: Slot, blocks: list[tuple[list[Group], list[Group]]]) -> Fit | None:
    known = {"torch": sizes_in(torch), "keras": sizes_in(keras)}
    names: dict[str, dict[str, str]] = {"torch": {}, "keras": {}}
    axes: list[tuple[str, ...]] = []
    sizes: dict[str, int] = {}
    for left, right in blocks:
        if not left or not right:
            side = "torch" if left else "keras"
            names[side].update(dict.fromkeys((left or right)[0][0], ""))
            continue
        if min(len(left), len(right)) > 1:
            for part, size in _parts(left, right):
                axes.append((part,))
                sizes[part] = size
            names["torch"].update(_renamed(left, _parts(left, right)))
            names["keras"].update(_renamed(right, _parts(left, right)))
            continue
        detailed = _detailed(left, right)
        chosen, other = (left, right) if detailed == "torch" else (right, left)
        rougher = "keras" if detailed == "torch" else "torch"
        inner = [name for group, _ in chosen for name in group]
        outer = [name for group, _ in other for name in group]
        if len(inner) == len(outer):
            names[rougher].update(zip(outer, inner, strict=True))
        elif len(outer) == 1:
            names[rougher][outer[0]] = " ".join(inner)
        else:
            return None
        sizes.update({name: known[detailed][name] for name in inner})
        axes.extend(group for group, _ in chosen)
    flat = [name for group in axes for name in group]
    if len(set(flat)) != len(flat) or not all(sizes.values()):
        return None
    return Fit(
        render(tuple(axes)),
        tuple(relabelled(piece, names["torch"], sizes) for piece in torch.pieces),
        tuple(relabelled(piece, names["keras"], sizes) for piece in keras.pieces),
    )


def _parts(left: list[Group], right: list[Group]) -> list[tuple[str, int]]:
    """The axes into which both sides' axes can be cut, as two counts of heads can; none where they cross."""
    if any(len(group) > 1 for group, _ in (*left, *right)):
        return []
    ends = sorted(
        {math.prod(size for _, size in groups[: n + 1]) for groups in (left, right) for n in range(len(groups))}
    )
    if any(second % first for first, second in itertools.pairwise(ends)):
        return []
    stem = left[0][0][0]
    sizes = [second // first for first, second in itertools.pairwise([1, *ends])]
    return [(f"{stem}{number}", size) for number, size in enumerate(sizes)]


def _renamed(groups: list[Group], parts: list[tuple[str, int]]) -> dict[str, str]:
    """The parts that each axis is made of, by its name."""
    found, rest = {}, list(parts)
    for (name,), size in groups:
        inner: list[tuple[str, int]] = []
        while math.prod(part for _, part in inner) < size:
            inner.append(rest.pop(0))
        found[name] = " ".join(part for part, _ in inner)
    return found


def _detailed(left: list[Group], right: list[Group]) -> str:
    """The side whose names are kept: that with more of them, or else the one whose axes have names at all."""
    counts = [sum(len(group) for group, _ in groups) for groups in (left, right)]
    if counts[0] != counts[1]:
        return "torch" if counts[0] > counts[1] else "keras"
    return "torch" if right[0][0][0].startswith("axis") else "keras"
