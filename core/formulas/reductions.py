"""Sums, means and other reductions: of what, and over which axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .found import Array, Found, axis_name, digits, over, sample

REDUCTIONS: dict[str, Callable[..., Any]] = {
    "mean": np.mean,
    "sum": np.sum,
    "maximum": np.max,
    "minimum": np.min,
    "variance": np.var,
    "unbiased variance": lambda x, axes: np.var(x, axes, ddof=1),
    "standard deviation": np.std,
    "unbiased standard deviation": lambda x, axes: np.std(x, axes, ddof=1),
    "Euclidean length": lambda x, axes: np.sqrt(np.sum(x**2, axes)),
    "mean square": lambda x, axes: np.mean(x**2, axes),
    "sum of squares": lambda x, axes: np.sum(x**2, axes),
    "logarithm of the sum of exponentials": lambda x, axes: np.logaddexp.reduce(_last(x, axes), -1),
}


def reduction(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which reduction of the first input gives the output, whose axes of length one do not count."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if x.ndim > 5 or y.size >= x.size or not y.size:
        return
    wanted = tuple(size for size in y.shape if size > 1)
    for count in range(1, x.ndim + 1):
        for axes in itertools.combinations(range(x.ndim), count):
            left = tuple(size for axis, size in enumerate(x.shape) if axis not in axes and size > 1)
            if left != wanted or math.prod(x.shape[axis] for axis in axes) < 2:
                continue
            for name, function in REDUCTIONS.items():
                with np.errstate(all="ignore"):
                    made = np.asarray(function(x, axes))
                told = f"the {name} over {over(axes, x.ndim)}"
                yield Found("reduction", told, digits(made.ravel(), y.ravel()))


def selection(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which single place along one axis, or which part of it, the output is."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if y.size >= x.size or not y.size:
        return
    few = sample(y.size, 64)
    for axis in range(1, x.ndim):
        long, rest = x.shape[axis], x.size // max(x.shape[axis], 1)
        length = y.size // max(rest, 1)
        if not length or length * rest != y.size or long - length > 512:
            continue
        for start in range(long - length + 1):
            part = x[(slice(None),) * axis + (slice(start, start + length),)]
            if digits(part.flat[few], y.flat[few]) > 3:
                name = f"{_places(start, length, long)} along {axis_name(axis, x.ndim)}"
                yield Found("selection", f"its input's {name}", digits(part.ravel(), y.ravel()), f"{{0}}'s {name}")


def _places(start: int, length: int, long: int) -> str:
    if length > 1:
        return f"places {start} to {start + length - 1}"
    return {0: "first place", long - 1: "last place"}.get(start, f"place {start}")


def _last(x: Array, axes: tuple[int, ...]) -> Array:
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    return x.transpose([*kept, *axes]).reshape([*(x.shape[axis] for axis in kept), -1])
