"""A recurrent cell called at every moment, against a layer that is called once: in which order each takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..formulas.found import digits
from .alignment import CELL
from .computing import SHARP
from .evidence import Array
from .layer import Step
from .porting import Porting

NAMES = {"torch": "PyTorch", "keras": "Keras"}


def cause(porting: Porting, index: int) -> tuple[str, str, str] | None:
    """That a cell up to a pair of steps takes the moments in another order than the layer does which it stands for.

    The names of both steps and a sentence, or None.
    """
    for side, other in (("torch", "keras"), ("keras", "torch")):
        steps, others = (porting.traces[name].steps[: _end(porting, index, name)] for name in (side, other))
        for name, role in dict.fromkeys((step.name, step.role) for step in steps if step.role.endswith(CELL)):
            calls = [step for step in porting.traces[side].steps if step.name == name and step.role == role]
            for layer in others:
                if layer.role == role.removesuffix(CELL) and (text := _differing(calls, layer, side, other)):
                    return (name, layer.name, text) if side == "torch" else (layer.name, name, text)
    return None


def _end(porting: Porting, index: int, side: str) -> int:
    return porting.pairs[index].places[list(NAMES).index(side)] + 1


def _differing(calls: Sequence[Step], layer: Step, side: str, other: str) -> str:
    ours = moments(calls, layer.inputs[0])
    theirs = list(range(len(calls)))[:: -1 if layer.settings.get("reversed") else 1]
    if not ours or ours == theirs:
        return ""
    called = f"{NAMES[side]}'s `{calls[0].name}` is called with the moments in the order {_listed(ours)}"
    return f"{called}, and {NAMES[other]}'s `{layer.name}` takes them in the order {_listed(theirs)}"


def moments(calls: Sequence[Step], sequence: Array) -> list[int]:
    """Which moment of a sequence, (batch, time, features) or time first, each call of a cell is given; or nothing."""
    for axis in (1, 0):
        if sequence.ndim != 3 or sequence.shape[axis] != len(calls):
            continue
        slices = list(np.moveaxis(sequence, axis, 0))
        found = [
            [place for place, each in enumerate(slices) if digits(call.inputs[0], each) >= SHARP] for call in calls
        ]
        if all(len(places) == 1 for places in found):
            return [places[0] for places in found]
    return []


def _listed(order: Sequence[int]) -> str:
    told = [str(place) for place in order]
    return ", ".join(told if len(told) <= 4 else [*told[:2], "…", told[-1]])
