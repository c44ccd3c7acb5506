"""Where a canonical array lies in a framework's own tensor: the names of its axes, and what is picked of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..axes import parse, rearrange, render, sizes_of

ONE = "1"


@dataclass(frozen=True)
class Piece:
    """A part of a tensor, or all of it.

    `tensor` is the framework's own name of it: `conv1.weight` in PyTorch, `conv1/kernel` in Keras. `axes` names its
    axes in the framework's order, `1` for an axis of length one: `"(gate out) in"`. `factors` sizes the parts of a
    composite axis. `pick` takes one index of an axis: `(("gate", 0),)`. `stored` is the tensor's name in the
    framework's own file, where that is another. `span` is (axis, start, stop, whole size) where all of this is about
    a stretch of one axis of the tensor.
    """

    tensor: str
    axes: str
    factors: tuple[tuple[str, int], ...] = ()
    pick: tuple[tuple[str, int], ...] = ()
    stored: str = ""
    span: tuple[int, ...] = ()

    def left(self) -> str:
        """The axes that are left when what is picked is gone, each factor by itself, in the tensor's order."""
        picked = dict(self.pick)
        return " ".join(name for group in self._groups() for name in group if name not in picked)

    def names(self, axis: int) -> tuple[str, ...]:
        """The names within one axis of the tensor, in alphabetical order; none for an axis of length one."""
        return tuple(sorted(name for name in words(self.axes)[axis].strip("()").split() if name != ONE))

    def without(self, axis: int) -> Piece:
        """This part of the tensor's means over one of its axes."""
        gone = self.names(axis)
        axes = " ".join(word for place, word in enumerate(words(self.axes)) if place != axis)
        factors, pick = (tuple(item for item in items if item[0] not in gone) for items in (self.factors, self.pick))
        span = self.span and (self.span[0] - (axis < self.span[0]), *self.span[1:])
        return replace(self, axes=axes, factors=factors, pick=pick, span=() if axis in self.span[:1] else span)

    def view(self, whole: NDArray[Any]) -> NDArray[Any]:
        """This part of the tensor without a copy where that can be, its axes those that `left` names."""
        return self._split(whole)[tuple(dict(self.pick).get(name, slice(None)) for name in self._names())]

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape of the whole tensor, by the size of each axis name. Raises KeyError for a name without one."""
        known = {**sizes, **dict(self.factors), ONE: 1}
        shape = [math.prod(known[name] for name in word.strip("()").split()) for word in words(self.axes)]
        if self.span:
            shape[self.span[0]] = self.span[3]
        return tuple(shape)

    def read(self, whole: NDArray[Any], axes: str) -> NDArray[Any]:
        """This part of the tensor, with its axes as `axes` names them. A copy."""
        split = self._split(whole)
        part = split[tuple(dict(self.pick).get(name, slice(None)) for name in self._names())]
        flat = render(tuple((name,) for name in self.left().split()))
        return np.array(rearrange(part, flat, axes, self._sizes(whole.shape)))

    def write(self, whole: NDArray[Any], part: NDArray[Any], axes: str) -> None:
        """Put a part into the tensor, in place. The inverse of `read`; bitwise where the types are the same."""
        flat = render(tuple((name,) for name in self.left().split()))
        moved = rearrange(part, axes, flat, self._sizes(whole.shape))
        split = self._split(whole)
        if not np.may_share_memory(split, whole):
            raise ValueError(f"{self.tensor} cannot be written in place")
        split[tuple(dict(self.pick).get(name, slice(None)) for name in self._names())] = moved

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return parse(" ".join(group for group in words(self.axes) if group != ONE))

    def _names(self) -> list[str]:
        return [name for group in self._groups() for name in group]

    def _sizes(self, shape: tuple[int, ...]) -> dict[str, int]:
        if self.span:
            axis, start, stop, whole = self.span
            if len(shape) <= axis or shape[axis] != whole:
                raise ValueError(f"{self.tensor} has shape {shape}, and no axis {axis} of {whole}")
            shape = (*shape[:axis], stop - start, *shape[axis + 1 :])
        kept = tuple(size for word, size in zip(words(self.axes), shape, strict=True) if word != ONE)
        return sizes_of(render(self._groups()), kept, dict(self.factors))

    def _split(self, whole: NDArray[Any]) -> NDArray[Any]:
        sizes = self._sizes(whole.shape)
        names = self._names()
        if self.span:
            axis, start, stop, _ = self.span
            whole = whole[(*[slice(None)] * axis, slice(start, stop))]
        if whole.size != math.prod(sizes[name] for name in names):
            raise ValueError(f"{self.tensor} has shape {whole.shape}, which is not {self.axes!r}")
        return whole.reshape([sizes[name] for name in names])


def words(axes: str) -> list[str]:
    """The axes of a tensor, one by one, a composite one with its parentheses."""
    found, depth = [""], 0
    for letter in axes:
        depth += (letter == "(") - (letter == ")")
        if letter == " " and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [word for word in found if word]
