"""The noise floor: what a movement by one unit in the last place does to a result.

Two correct implementations differ by rounding. How far rounding carries depends on depth, conditioning and the number
of training steps, so it is measured for each tensor: each side is run again with every input and weight moved by one
unit in the last place, up or down by a seeded coin.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .noise import generator
from .technique import Arrays

NARROW, WIDE = "float64", "float32"


def moved(arrays: Arrays, seed: int, ulp: str = NARROW) -> Arrays:
    """The arrays with each float moved by one unit in the last place of a float64 or a float32; others as they are."""
    return {name: _move(array, generator(seed, f"ulp {name}"), ulp) for name, array in arrays.items()}


def _move(array: NDArray[Any], rng: np.random.Generator, ulp: str) -> NDArray[Any]:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    unit = np.spacing(np.abs(array).astype(ulp, copy=False)).astype(np.float64, copy=False)
    step: NDArray[Any] = array + np.where(rng.random(array.shape) < 0.5, -unit, unit)
    return step


def representable(arrays: Arrays) -> Arrays:
    """The arrays with each float rounded to one that float32 holds, still as float64."""
    return {
        name: array.astype(WIDE).astype(NARROW) if np.issubdtype(array.dtype, np.floating) else array
        for name, array in arrays.items()
    }


def movement(base: Arrays, *others: Arrays, ulp: str = NARROW) -> dict[str, float]:
    """The largest movement of each float tensor, and at least one unit in the last place of its largest element.

    The unit is that of `ulp`, or of the tensor's own type if that is wider: what no movement reaches is still rounded.
    A tensor of which the movement leaves another shape, or nothing, has moved infinitely far.
    """
    result = {}
    for name, array in base.items():
        if np.issubdtype(array.dtype, np.floating) and array.size and np.all(np.isfinite(array)):
            moves = [_distance(array, other.get(name)) for other in others]
            least = max(float(np.spacing(np.max(np.abs(array)))), unit(array, ulp))
            result[name] = float(np.max([*moves, least]))  # where NaN stays NaN
    return result


def _distance(array: NDArray[Any], other: NDArray[Any] | None) -> float:
    return float(np.max(np.abs(other - array))) if other is not None and other.shape == array.shape else math.inf


def decided(base: Arrays, moved: Arrays) -> list[str]:
    """The tensors that rounding decides: whose shape, or whose discrete values, the movement changes."""
    return [
        name
        for name in {**base, **moved}
        if name not in base
        or name not in moved
        or base[name].shape != moved[name].shape
        or not (np.issubdtype(base[name].dtype, np.floating) or np.array_equal(base[name], moved[name]))
    ]


def larger(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The larger of two sides' floors, tensor by tensor."""
    return {name: float(np.maximum(one.get(name, 0.0), other.get(name, 0.0))) for name in {**one, **other}}


def unit(array: NDArray[Any], ulp: str) -> float:
    """One unit in the last place of the largest element; 0 where that is beyond the type."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = float(np.spacing(np.max(np.abs(array)).astype(ulp)))
    return step if math.isfinite(step) else 0.0
