"""Mistakes in writing the loss of Q-learning."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN, DOUBLE = registry.make("temporal_difference"), registry.make("temporal_difference_double")


@partial(TechniqueBug, "terminal state bootstrapped", PLAIN, "torch")
def terminal_bootstrapped(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec, {**case, "terminated": np.zeros_like(case["terminated"])})


@partial(TechniqueBug, "maximum for the choice of double Q-learning", DOUBLE, "keras")
def maximum_for_the_choice(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(double=False), case)


@partial(TechniqueBug, "squared loss for the Huber loss", PLAIN, "keras")
def squared(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(delta=1e6), case)


@partial(TechniqueBug, "smooth L1 loss for the Huber loss", DOUBLE, "torch")
def smooth_l1(trace: Any, spec: Any, case: Arrays) -> Arrays:
    found = trace(spec, case)
    return {**found, **{name: found[name] / spec.delta for name in ("loss", "gradient of values")}}


@partial(TechniqueBug, "gradient through the targets", PLAIN, "torch")
def through_the_targets(trace: Any, spec: Any, case: Arrays) -> Arrays:
    found = trace(spec, case)
    best = np.eye(3)[case["next_values"].argmax(axis=1)]
    slope = spec.discount * (1 - case["terminated"]) * found["gradient of values"].sum(axis=1)
    return {**found, "gradient of next_values": -slope[:, None] * best}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
