"""Whether two arrays are the same but for rounding, by the house's own bound instead of a tolerance."""

from __future__ import annotations

import numpy as np
from diglot.core import compare, floor
from diglot.core.compare import Comparison


def agreement(one: np.ndarray, other: np.ndarray, precision: str = floor.NARROW) -> Comparison:
    """The comparison whose floor is one unit in the last place of the largest element, in this precision."""
    arrays = [np.asarray(array, np.float64) for array in (one, other)]
    least = {"result": floor.unit(arrays[0], precision)}
    (found,) = compare.every({"result": arrays[0]}, {"result": arrays[1]}, least)
    return found
