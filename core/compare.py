"""Two sets of named arrays become comparisons: a difference, its size in noise floors, and the digits that agree."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import verdict
from .technique import Arrays
from .verdict import Verdict


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


def _failed(name: str, complaint: str) -> Comparison:
    return Comparison(name, Verdict.DIFFERENT, math.inf, 0.0, math.inf, 0.0, complaint)


def _discrete(name: str, one: NDArray[Any], other: NDArray[Any]) -> Comparison:
    unequal = int(np.sum(one != other))
    if unequal:
        return _failed(name, f"{unequal} of {one.size} discrete values differ")
    return Comparison(name, Verdict.EQUAL, 0.0, 17.0, 0.0, 0.0)


def unlike(one: NDArray[Any], other: NDArray[Any]) -> str:
    """Why two arrays cannot be compared, or the empty string."""
    if one.shape != other.shape:
        return f"the shapes are {one.shape} in PyTorch and {other.shape} in Keras"
    if np.issubdtype(one.dtype, np.floating) != np.issubdtype(other.dtype, np.floating):
        return f"the kinds of number are {one.dtype} in PyTorch and {other.dtype} in Keras"
    if not one.size:
        return "the tensor is empty, so nothing was compared"
    for side, array in (("PyTorch", one), ("Keras", other)):
        if np.issubdtype(array.dtype, np.floating) and not np.all(np.isfinite(array)):
            return f"{int(np.sum(~np.isfinite(array)))} of {array.size} values are not finite in {side}"
    return ""


def agreeing(difference: float, magnitude: float) -> float:
    """The number of decimal digits that agree, relative to the largest element; 17 for no difference at all."""
    if difference == 0:
        return 17.0
    return max(0.0, min(17.0, -math.log10(difference / magnitude))) if magnitude else 0.0


def one(
    name: str, torch: NDArray[Any], keras: NDArray[Any], floor: float, wide_floor: float | None = None
) -> Comparison:
    """Compare one tensor. A missing floor is an error of the caller; discrete tensors need none."""
    if complaint := unlike(torch, keras):
        return _failed(name, complaint)
    if not np.issubdtype(torch.dtype, np.floating):
        return _discrete(name, torch, keras)
    wide = torch.astype(np.float64), keras.astype(np.float64)
    difference = float(np.max(np.abs(wide[0] - wide[1])))
    magnitude = float(max(np.max(np.abs(wide[0])), np.max(np.abs(wide[1]))))
    ratio = difference / floor if difference else 0.0
    wide_ratio = None if not wide_floor else difference / wide_floor
    return Comparison(
        name, verdict.of_ratio(ratio, wide_ratio), ratio, agreeing(difference, magnitude), difference, floor
    )


def every(
    torch: Arrays, keras: Arrays, floors: dict[str, float], wide_floors: dict[str, float] | None = None
) -> list[Comparison]:
    """Compare all tensors of both sides by name, in order. What one side lacks is a difference, never skipped."""
    result = []
    for name in {**torch, **keras}:
        if name not in torch or name not in keras:
            result.append(_failed(name, f"only {'Keras' if name in keras else 'PyTorch'} has it"))
        else:
            wide = (wide_floors or {}).get(name)
            result.append(one(name, torch[name], keras[name], floors.get(name, 0.0) or math.ulp(0.0), wide))
    return result


def bitwise(torch: Arrays, keras: Arrays) -> list[Comparison]:
    """Compare all tensors for identical bits."""
    result = []
    for name in {**torch, **keras}:
        if name not in torch or name not in keras:
            result.append(_failed(name, f"only {'the second' if name in keras else 'the first'} has it"))
            continue
        first, second = torch[name], keras[name]
        same = first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()
        result.append(
            Comparison(name, Verdict.EQUAL, 0.0, 17.0, 0.0, 0.0) if same else _failed(name, "the bits are not the same")
        )
    return result


def worst(comparisons: Iterable[Comparison]) -> Comparison | None:
    """The most severe comparison, by verdict and then by ratio; None where there is none."""
    return max(
        comparisons,
        key=lambda item: (verdict.SEVERITY.index(item.verdict), item.ratio if item.ratio == item.ratio else math.inf),
        default=None,
    )
