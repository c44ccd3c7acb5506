"""Why two steps differ: settings are tried first, then what each of them computes, then gradients and gaps."""

from __future__ import annotations

import numpy as np

from .backward import by_gradients
from .computing import by_formula
from .evidence import Array, Cause, Replayed
from .gaps import between, reordered
from .trying import by_settings, modes

__all__ = ["Array", "Cause", "between", "cause", "reordered"]


@np.errstate(all="ignore")
def cause(replay: Replayed) -> Cause | None:
    """The likely cause of a difference between two steps that are given the same input, or None where none is found.

    A setting that makes the two agree when the other side's value is tried goes before what the two compute, and that
    before a setting which could not be tried.
    """
    failing = modes(replay)
    if not failing:
        return None
    confirmed, likely = by_settings(replay, failing)
    if confirmed is not None:
        return confirmed
    if failing[0] is False:
        worst = replay.agree().worst
        if found := by_formula(replay):
            return found
        if worst.startswith("gradient") and (found := by_gradients(replay)):
            return found
    return likely
