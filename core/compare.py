"""Two sets of named arrays become comparisons: a difference, its size in noise floors, and the digits that agree."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import verdict
from .technique import Arrays
from .verdict import Verdict

Sides = tuple[str, str]
SIDES = ("PyTorch", "Keras")


@dataclass(frozen=True)
class Comparison:
    """One tensor of both sides. `ratio` is the difference in noise floors; `digits` are those that agree, at most 17.

    `complaint` says why the two could not be compared as numbers at all.
    """

    name: str
    verdict: Verdict
    ratio: float
    digits: float
    difference: float
    floor: float
    complaint: str = ""

    def renamed(self, name: str) -> Comparison:
        """The same finding under another name."""
        return dataclasses.replace(self, name=name)


def failed(name: str, complaint: str) -> Comparison:
    """A tensor that could not be compared as numbers."""
    return Comparison(name, Verdict.DIFFERENT, math.inf, 0.0, math.inf, 0.0, complaint)


def _discrete(name: str, one: NDArray[Any], other: NDArray[Any]) -> Comparison:
    unequal = int(np.sum(one != other))
    if unequal:
        return failed(name, f"{unequal} of {one.size} discrete values differ")
    return Comparison(name, Verdict.EQUAL, 0.0, 17.0, 0.0, 0.0)


def unlike(one: NDArray[Any], other: NDArray[Any], sides: Sides) -> str:
    """Why two arrays cannot be compared, or the empty string."""
    if one.shape != other.shape:
        return f"the shapes are {one.shape} in {sides[0]} and {other.shape} in {sides[1]}"
    if np.issubdtype(one.dtype, np.floating) != np.issubdtype(other.dtype, np.floating):
        return f"the kinds of number are {one.dtype} in {sides[0]} and {other.dtype} in {sides[1]}"
    if not one.size:
        return "the tensor is empty, so nothing was compared"
    for side, array in zip(sides, (one, other), strict=True):
        if np.issubdtype(array.dtype, np.floating) and not np.all(np.isfinite(array)):
            return f"{int(np.sum(~np.isfinite(array)))} of {array.size} values are not finite in {side}"
    return ""


def agreeing(difference: float, magnitude: float, floor: float) -> float:
    """The number of decimal digits that agree, relative to the largest element.

    17 for no difference at all, and for a tensor that is nothing but noise on both sides: such a zero has no digits.
    """
    if difference == 0 or not verdict.is_seen(magnitude / max(floor, math.ulp(0.0))):
        return 17.0
    return max(0.0, min(17.0, -math.log10(difference / magnitude)))


def pair(
    name: str,
    one: NDArray[Any],
    other: NDArray[Any],
    floor: float,
    wide_floor: float | None = None,
    sides: Sides = SIDES,
) -> Comparison:
    """Compare one tensor of two sides. Discrete tensors need no floor, and must be equal."""
    if complaint := unlike(one, other, sides):
        return failed(name, complaint)
    if not np.issubdtype(one.dtype, np.floating):
        return _discrete(name, one, other)
    if not math.isfinite(floor):
        return failed(name, "its noise floor is not a finite number, so this comparison could not fail")
    first, second = one.astype(np.float64), other.astype(np.float64)
    difference = float(np.max(np.abs(first - second)))
    magnitude = float(max(np.max(np.abs(first)), np.max(np.abs(second))))
    ratio = difference / max(floor, math.ulp(0.0)) if difference else 0.0
    wide_ratio = difference / wide_floor if wide_floor and math.isfinite(wide_floor) else None
    digits = agreeing(difference, magnitude, floor)
    return Comparison(name, verdict.of_ratio(ratio, wide_ratio), ratio, digits, difference, floor)


def every(
    one: Arrays,
    other: Arrays,
    floors: dict[str, float],
    wide_floors: dict[str, float] | None = None,
    sides: Sides = SIDES,
) -> list[Comparison]:
    """Compare all tensors of two sides by name, in order. What one side lacks is a difference, never skipped."""
    result = []
    for name in {**one, **other}:
        if name not in one or name not in other:
            result.append(failed(name, f"only {sides[1] if name in other else sides[0]} has it"))
        else:
            wide = (wide_floors or {}).get(name)
            result.append(pair(name, one[name], other[name], floors.get(name, 0.0), wide, sides))
    return result


def bitwise(before: Arrays, after: Arrays) -> list[Comparison]:
    """Compare all tensors for identical bits."""
    result = []
    for name in {**before, **after}:
        if name not in before or name not in after:
            result.append(failed(name, "it was lost" if name in before else "it was not there before"))
            continue
        first, second = before[name], after[name]
        same = first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()
        result.append(
            Comparison(name, Verdict.EQUAL, 0.0, 17.0, 0.0, 0.0) if same else failed(name, "the bits are not the same")
        )
    return result


def worst(comparisons: Iterable[Comparison]) -> Comparison | None:
    """The most severe comparison, by verdict and then by ratio; None where there is none."""
    return max(
        comparisons,
        key=lambda item: (verdict.SEVERITY.index(item.verdict), item.ratio if item.ratio == item.ratio else math.inf),
        default=None,
    )
