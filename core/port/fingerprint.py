"""The same numbers are found again in any order: a hash of an array's values that knows nothing of their places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..axes import Array

MIX = tuple(np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
SHIFTS = tuple(np.uint64(number) for number in (30, 27, 31))


def is_constant(array: Array) -> bool:
    """Whether all values are one and the same, so that they identify nothing."""
    flat = array.reshape(-1)
    return flat.size < 2 or bool(np.all(flat == flat[0]))


def fingerprint(array: Array) -> int:
    """A hash of the values, whatever their order, their shape, or the width of their type."""
    return sums(array, ())


def sums(array: Array, axes: tuple[int, ...]) -> Any:
    """The hashes of the parts of an array along the axes that are kept, or one hash where none is."""
    gone = tuple(axis for axis in range(array.ndim) if axis not in axes)
    total = np.sum(_mixed(array), axis=gone, dtype=np.uint64)
    return total if axes else (int(total), array.size).__hash__()


def _mixed(array: Array) -> NDArray[np.uint64]:
    wide = np.array(array, dtype=np.float64) + 0.0  # where a negative zero becomes a positive one
    bits = wide.view(np.uint64)
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> SHIFTS[0])) * MIX[1] + MIX[0]
        bits = (bits ^ (bits >> SHIFTS[1])) * MIX[2]
        return bits ^ (bits >> SHIFTS[2])
