"""The state of an optimizer in the canonical form: each slot as `SLOT of WEIGHT`, and under `step` the steps taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import StateError
from .state import misfit
from .technique import Arrays, Optimizer

STEP = "step"


def fitting(spec: Optimizer, wanted: Arrays, given: Mapping[str, Any], scheduled: bool) -> tuple[Arrays, int | None]:
    """The slots of a state by the names and shapes of those that an optimizer keeps, and the steps taken, if it says.

    It must say them where the optimizer or a schedule counts. Raises StateError that names every missing, extra and
    misshapen slot.
    """
    shapes: dict[str, tuple[int, ...]] = {name: array.shape for name, array in wanted.items()}
    counts = spec.COUNTS or scheduled
    if counts or STEP in given:
        shapes[STEP] = ()
    misfit(f"the optimizer's state does not fit {spec.name} with these weights", shapes, given)
    slots = {name: np.asarray(given[name]) for name in wanted}
    for name, array in slots.items():
        if array.dtype.kind != "f":
            raise StateError(f"{name} must hold numbers with a fraction, not {array.dtype}", (name,))
    return slots, _count(given[STEP]) if STEP in given else None


def _count(step: Any) -> int:
    array = np.asarray(step)
    if array.dtype.kind not in "iu" or array < 0:
        raise StateError(f"{STEP} of an optimizer's state must be a whole number from 0 up, not {array}", (STEP,))
    return int(array)


def counted(counts: Mapping[str, int]) -> int | None:
    """The one number of steps, out of how many each has taken; None where nothing counts.

    Raises StateError where they differ: the canonical state has one number, as Keras has.
    """
    if len(set(counts.values())) > 1:
        ordered = sorted(counts.items(), key=lambda item: item[1])
        (one, first), (other, second) = ordered[0], ordered[-1]
        raise StateError(
            f"{one} is at step {first} and {other} at {second}, and Keras counts one number for all; move the training "
            "when both are the same",
            (one, other),
        )
    return next(iter(counts.values()), None)


def of_model(own: list[str], spec: Optimizer) -> None:
    """Raise StateError for weights of an optimizer, if there are any, that are none of the model's."""
    if own:
        raise StateError(
            f"{spec.name} holds {len(own)} weights that are not the model's, the first of them of shape {own[0]}; give "
            "the model whose weights it was built on"
        )
