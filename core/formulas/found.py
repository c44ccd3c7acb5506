"""A formula that gives an output from its operands, and how well."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import compare

Array = NDArray[Any]
MARGIN = 2.0
"""A formula tells two results apart if it agrees in so many digits more than these have in common."""

Family = Callable[[Sequence[Array], Array, Mapping[str, Array]], Iterator["Found"]]


@dataclass(frozen=True)
class Found:
    """`name` is what the output is: "relu", "the sum". `phrase` holds `{0}`, `{1}` … where its operands are named.

    `digits` are those in which the formula and the output agree, relative to the largest element. `numbers` are those
    that were solved for, in the order in which the name gives them.
    """

    family: str
    name: str
    digits: float
    phrase: str = ""
    numbers: tuple[float, ...] = ()

    def of(self, *operands: str) -> str:
        """The formula with its operands named: "relu of `conv1`"."""
        return (self.phrase or f"{self.name} of {{0}}").format(*operands)

    def finer(self, places: int) -> Found:
        """The formula with its numbers to so many places."""
        text, told = self.name, ""
        for value in self.numbers:
            before, short, text = text.partition(number(value))
            told += before + (f"{value:.{places}g}" if short else "")
        return replace(self, name=told + text)


def digits(one: Array, other: Array) -> float:
    """How many decimal digits two arrays have in common; 0 where shapes or infinities differ, 17 for the same bits."""
    if one.shape != other.shape or not one.size:
        return 0.0
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    finite = np.isfinite(first)
    if not finite.all():
        if not np.array_equal(first[~finite], second[~finite], equal_nan=True):
            return 0.0
        first, second = first[finite], second[finite]
    if not first.size or not np.isfinite(second).all():
        return 0.0
    difference = float(np.max(np.abs(first - second)))
    magnitude = float(max(np.max(np.abs(first)), np.max(np.abs(second))))
    if difference and not math.isfinite(difference / magnitude):
        return 0.0
    return compare.agreeing(difference, magnitude, 0.0)


def explains(found: float, common: float) -> bool:
    """Whether a formula of so many digits tells two results apart that have so many in common."""
    return found >= common + MARGIN


def sample(size: int, count: int = 4096) -> NDArray[np.int64]:
    """Indices spread evenly over an array of that size, all of them where there are no more."""
    return np.unique(np.linspace(0, size - 1, min(size, count)).astype(np.int64))


def settled(values: Array) -> float | None:
    """The value that all have but for rounding, or None where they differ."""
    kept = values[np.isfinite(values)]
    if not kept.size:
        return None
    middle = float(np.median(kept))
    spread = float(np.median(np.abs(kept - middle)))
    return middle if spread <= 1e-3 * abs(middle) or not spread else None


def number(value: float) -> str:
    """A number that was solved for, as a person would write it: 0.00001 and not 9.999999717180685e-06."""
    for places in range(1, 7):
        short = float(f"{value:.{places}g}")
        if abs(short - value) <= 1e-6 * abs(value):
            return f"{short:g}"
    return f"{value:.4g}"


def factor(value: float, sizes: Sequence[int] = ()) -> str:
    """A factor, and the root or the size of an axis that it is: "5.657 = sqrt(32)"."""
    for size in dict.fromkeys(size for size in sizes if size > 1):
        root = math.sqrt(size)
        known = {f"sqrt({size})": root, f"1 / sqrt({size})": 1 / root, f"{size}": size, f"1 / {size}": 1 / size}
        for text, exact in known.items():
            if abs(value - exact) <= 1e-6 * exact and number(value) != text:
                return f"{number(value)} = {text}"
    return number(value)


AXES = {
    2: ("batch", "channels"),
    3: ("batch", "time", "channels"),
    4: ("batch", "height", "width", "channels"),
    5: ("batch", "depth", "height", "width", "channels"),
}


def axis_name(axis: int, ndim: int) -> str:
    """The name of an axis of a tensor in Keras's layout."""
    names = AXES.get(ndim, ())
    return names[axis] if names else f"axis {axis}"


def axes_names(axes: Sequence[int], ndim: int) -> str:
    """The names of several axes: "height and width"."""
    names = [axis_name(axis, ndim) for axis in axes]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def over(axes: Sequence[int], ndim: int) -> str:
    """The axes that something is done over, in words and in numbers: "channels (axis -1)"."""
    numbers = ["-1" if axis == ndim - 1 else str(axis) for axis in axes]
    return f"{axes_names(axes, ndim)} (ax{'i' if len(axes) == 1 else 'e'}s {', '.join(numbers)})"


def padded(padding: tuple[int, int]) -> str:
    """What is added to one axis: "1", or "0 before and 1 after"."""
    before, after = padding
    return str(before) if before == after else f"{before} before and {after} after"
