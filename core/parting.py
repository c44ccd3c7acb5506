"""Where two runs of one training part: how many digits their quantities share, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import verdict

MOST = 17.0
Series = tuple[NDArray[np.int64], NDArray[Any]]


@dataclass(frozen=True)
class Shared:
    """One quantity of both runs: the digits shared at each of its steps, and the first step at which they parted."""

    name: str
    digits: NDArray[np.float64]
    parted: int | None


def digits(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """The decimal digits that two series share at each place; 17 where they are the same.

    They are relative to the root mean square of both, since a loss may pass through zero. Whole numbers share all or
    none.
    """
    if one.dtype.kind != "f":
        return np.where(one == other, MOST, 0.0)
    one, other = one.astype(np.float64), other.astype(np.float64)
    size, difference = np.sqrt(np.mean((one**2 + other**2) / 2)), np.abs(one - other)
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = np.where(difference == 0, MOST, -np.log10(difference / size))
    clipped: NDArray[np.float64] = np.clip(np.nan_to_num(shared, nan=0.0), 0.0, MOST)
    return clipped


def of(one: Mapping[str, Series], other: Mapping[str, Series]) -> list[Shared]:
    """Every quantity of two histories, in the order of the first. A step that only one run has, has parted there."""
    found = []
    for name in one:
        if name not in other:
            continue
        (ours, left), (theirs, right) = one[name], other[name]
        length = min(len(ours), len(theirs))
        shared = np.where(ours[:length] == theirs[:length], digits(left[:length], right[:length]), 0.0)
        apart = np.flatnonzero(shared < verdict.PARTED)
        found.append(Shared(name, shared, int(ours[apart[0]]) if len(apart) else None))
    return found
