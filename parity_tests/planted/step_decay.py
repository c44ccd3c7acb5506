"""Mistakes in porting a decay in steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

SMALL = registry.make("step_decay_small")
MILESTONES = registry.make("step_decay_milestones")
BOTH = registry.make("step_decay_both")


@partial(TechniqueBug, "milestone as the last step of the larger rate", MILESTONES, "keras")
def late_milestones(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(milestones=tuple(step + 1 for step in spec.milestones)), case)


@partial(TechniqueBug, "factor of 0.1, as by default", SMALL, "torch")
def native_factor(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(gamma=0.1), case)


@partial(TechniqueBug, "one change at all", SMALL, "keras")
def one_change(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates = true(spec, case)["rates"]
    return {**true(spec, case), "rates": np.maximum(rates, spec.learning_rate * spec.gamma)}


@partial(TechniqueBug, "milestones without the regular steps", BOTH, "torch")
def milestones_alone(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(every=None), case)


@partial(TechniqueBug, "milestone and regular step at once counted once", BOTH, "keras")
def counted_once(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(milestones=spec.milestones[:1]), case)


@partial(TechniqueBug, "first milestone applied again after a resume", MILESTONES, "torch")
def reduced_again(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "rates resumed": result["rates resumed"] * spec.gamma}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
