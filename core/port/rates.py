"""Whether two learning rates go on alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import compare, floor
from ..verdict import Verdict
from .held import Held
from .rule import LABELS, Difference, argument

NEXT = 32  # steps that are all looked at
REACH = 1000  # further steps that are looked at where no schedule says when it turns
FARTHEST = 20_000  # steps ahead, beyond which nothing is looked at


def looked_at(start: int, marks: Sequence[int]) -> list[int]:
    """Steps from one on at which schedules are compared: the next ones, those around its turns, and ever fewer."""
    last = min(max([start + REACH, *(mark + 2 for mark in marks)]), start + FARTHEST)
    ahead = {start + step for step in range(NEXT)}
    ahead |= {start + int(step) for step in np.geomspace(NEXT, max(last - start, NEXT), 24)}
    ahead |= {mark + near for mark in marks for near in (-1, 0, 1)}
    return sorted(step for step in ahead if start <= step <= last)


def differing(
    pairs: Sequence[tuple[str, str, str]], source: Held, target: Held, step: int
) -> tuple[list[Difference], list[str]]:
    """In what the rates of (weight, source's tensor, target's tensor) differ from a step on, and what is only told.

    Told is another rate throughout, by one and the same factor, which is the caller's choice; and schedules that part
    behind the end of both, where PyTorch's cosine rises again.
    """
    steps = looked_at(step, (*source.marks, *target.marks)) if source.schedule or target.schedule else [step]
    ours, theirs = source.rates(steps), target.rates(steps)
    unlike = [
        (weight, ours[one], theirs[other]) for weight, one, other in pairs if not _alike(ours[one], theirs[other])
    ]
    if not unlike:
        return [], []
    names = [f"{LABELS[held.side]}'s {argument(held.side, 'learning_rate')}" for held in (source, target)]
    kinds = [held.schedule or "constant" for held in (source, target)]
    factor = _factor(unlike[0][1], unlike[0][2])
    if factor is not None and len(unlike) == len(pairs) and all(_alike(one * factor, two) for _, one, two in unlike):
        first, second = unlike[0][1][0], unlike[0][2][0]
        return [], [f"the next step has the rate {second:.6g} in {names[1]}, where {names[0]} would have {first:.6g}"]
    _, one, other = unlike[0]
    place = next(place for place in range(len(steps)) if not _alike(one[: place + 1], other[: place + 1]))
    weights = tuple(weight for weight, _, _ in unlike) if len(unlike) < len(pairs) else ()
    told = f"{names[0]} is {one[place]:.6g} and {names[1]} {other[place]:.6g}"
    if not source.schedule and not target.schedule:
        return [Difference("learning_rate", f"{told}, and not by one factor for all weights", weights)], []
    told = f"at step {steps[place]}, counted from 0, {told} ({kinds[0]} and {kinds[1]})"
    if source.end is not None and target.end is not None and steps[place] > max(source.end, target.end):
        return [], [f"{told}, behind the end of both"]
    return [Difference("schedule", told, weights)], []


def _factor(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    place = int(np.argmax(one))
    return float(other[place] / one[place]) if one[place] else None


def _alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two courses of a rate are the same but for the rounding of the float32 in which Keras computes them."""
    unit = floor.unit(np.maximum(np.abs(one), np.abs(other)), floor.WIDE)
    return compare.pair("rates", one, other, unit).verdict is Verdict.EQUAL
