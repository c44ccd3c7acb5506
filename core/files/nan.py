"""Whether numbers hold NaN: they are data and are passed on, and whoever passes them on is told."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stored import CODES

INFINITE = {"F16": 0x7C00, "BF16": 0x7F80, "F8_E4M3": 0x7E, "F8_E5M2": 0x7C}  # the largest bits that are no NaN
UNSIGNED = {"F16": 0x7FFF, "BF16": 0x7FFF, "F8_E4M3": 0x7F, "F8_E5M2": 0x7F}


def among(block: NDArray[Any], code: str) -> bool:
    """Whether there is a NaN in bytes that are numbers of a code."""
    if code in ("F32", "F64"):
        held = block.view(CODES[code])
        with np.errstate(invalid="ignore"):
            return bool(np.isnan(np.maximum.reduce(held)))  # which is NaN where a number is
    if code in INFINITE:
        bits = block.view("u1" if code.startswith("F8") else "<u2")
        return bool(((bits & UNSIGNED[code]) > INFINITE[code]).any())
    return False
