"""A weight of a class's own that one side holds transposed: its numbers are the same, and no rule tells its layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import verdict
from ..errors import DiglotError
from ..formulas.found import digits
from .computing import needed
from .evidence import Array, Cause, told
from .layer import Step
from .mapping import Match
from .porting import Porting
from .replaying import Replaying


def cause(replaying: Replaying) -> Cause | None:
    """That two steps agree once a weight which Keras holds transposed is given to both as PyTorch holds it."""
    wanted = replaying.arrays("torch")[1]
    return _tried(replaying.porting, replaying.steps[1], replaying.given, wanted, needed(replaying))


def between(porting: Porting, steps: Sequence[Step], wanted: Array) -> Cause | None:
    """The same of a single step of Keras that has no counterpart; `wanted` is what PyTorch has in its place."""
    least = verdict.IDENTIFIED[porting.precision]
    return _tried(porting, steps[0], steps[0].inputs, wanted, least) if len(steps) == 1 else None


def _tried(porting: Porting, step: Step, given: Sequence[Array], wanted: Array, least: float) -> Cause | None:
    for match, ours, theirs in _turned(porting):
        places = [place for place, array in enumerate(step.inputs) if np.array_equal(array, theirs)]
        if not places or places[0] >= len(given):
            continue
        inputs = [ours if place == places[0] else array for place, array in enumerate(given)]
        try:
            made = porting.subjects["keras"].replay(step, inputs, None)["output"]
        except DiglotError:  # a step may not take it so; then this is not the cause
            continue
        if (common := digits(wanted, made)) >= least:
            names = f"Keras's `{match.keras[0].tensor}` holds PyTorch's `{match.torch[0].tensor}`"
            text = f"{names} transposed, and both use it alike: with the weight as PyTorch holds it, both give the same"
            return Cause(f"{text} (to {told(common)})", "", True)
    return None


def _turned(porting: Porting) -> Iterator[tuple[Match, Array, Array]]:
    """The weights of one shape on both sides that were matched in another order of their axes, with both tensors."""
    for match in porting.mapping.matches:
        if len(match.torch) == len(match.keras) == 1 and match.torch[0].axes != match.keras[0].axes:
            ours, theirs = (porting.states[side][getattr(match, side)[0].tensor] for side in ("torch", "keras"))
            if ours.shape == theirs.shape and not np.array_equal(ours, theirs):
                yield match, ours, theirs
