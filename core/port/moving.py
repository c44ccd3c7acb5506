"""What moves by a unit in the last place where the noise floor of users' models is measured, and what does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import floor
from ..axes import Array
from ..technique import Arrays


def moved(arrays: Arrays, seed: int, ulp: str, trains: Callable[[str], bool] = lambda name: False) -> Arrays:
    """The arrays with each float moved by one unit in the last place, but for numbers by which a model decides.

    Those are infinities, ones among zeros, and the zeros of what is not trained: a mask is told by them, and padding.
    Were they moved, the mask would be another, and a floor as large as that hides every difference.
    """
    result = floor.moved({name: _finite(array) for name, array in arrays.items()}, seed, ulp)
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating):
            still = ~np.isfinite(array) | (not trains(name) and (array == 0)) | _flags(array)
            result[name] = np.where(still, array, result[name]) if still.any() else result[name]
    return result


def _finite(array: Array) -> Array:
    return np.where(np.isfinite(array), array, 0) if np.issubdtype(array.dtype, np.floating) else array


def _flags(array: Array) -> bool:
    """Whether an array holds zeros and ones, both of them, and nothing else."""
    ones = array == 1
    return bool(ones.any()) and not ones.all() and bool(np.all(ones | (array == 0)))
