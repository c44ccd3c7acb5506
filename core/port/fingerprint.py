"""The same numbers are found again in any order: a hash of an array's values that knows nothing of their places."""

from __future__ import annotations

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
    wide: NDArray[np.float64] = np.array(array, dtype=np.float64, order="C").reshape(-1)
    wide += 0.0  # where a negative zero becomes a positive one
    return hash((int(np.sum(_mixed(wide.view(np.uint64)), dtype=np.uint64)), array.size))


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> SHIFTS[0])) * MIX[1] + MIX[0]
        bits = (bits ^ (bits >> SHIFTS[1])) * MIX[2]
        return bits ^ (bits >> SHIFTS[2])
