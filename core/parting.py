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
NOTHING: Series = (np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True)
class Shared:
    """One quantity of both runs: the digits shared at each step that either has, and the first at which they parted."""

    name: str
    digits: NDArray[np.float64]
    parted: int | None


def digits(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """The decimal digits that two series (steps, ...) share at each step, the fewest of its numbers; 17 for the same.

    They are relative to the root mean square of all finite numbers of both, since a loss may pass through zero. Whole
    numbers share all or none.
    """
    if one.shape != other.shape:
        return np.zeros(len(one))
    shared = np.where(one == other, MOST, 0.0)
    if "f" in (one.dtype.kind, other.dtype.kind):
        one, other = one.astype(np.float64), other.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = -np.log10(np.abs(one - other) / _size(one, other))
        shared = np.where(one == other, MOST, np.clip(np.nan_to_num(apart, nan=0.0), 0.0, MOST))
    found: NDArray[np.float64] = shared.min(axis=tuple(range(1, shared.ndim)), initial=MOST)
    return found


def _size(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The root mean square of the finite numbers; taken of shares of the largest, whose square may be too large."""
    both = np.abs(np.concatenate([one.ravel(), other.ravel()]))
    finite = both[np.isfinite(both)]
    top = float(finite.max(initial=0.0))
    return top * float(np.sqrt(np.mean((finite / top) ** 2))) if top else 0.0


def of(one: Mapping[str, Series], other: Mapping[str, Series]) -> list[Shared]:
    """Every quantity of two histories, in the order of the first. What only one run has, has parted there."""
    found = []
    for name in {**one, **other}:
        (ours, left), (theirs, right) = one.get(name, NOTHING), other.get(name, NOTHING)
        steps, (_, mine, yours) = np.union1d(ours, theirs), np.intersect1d(ours, theirs, return_indices=True)
        shared = np.zeros(len(steps))
        shared[np.isin(steps, ours[mine])] = digits(left[mine], right[yours])
        apart = np.flatnonzero(shared < verdict.PARTED)
        found.append(Shared(name, shared, int(steps[apart[0]]) if len(apart) else None))
    return found
