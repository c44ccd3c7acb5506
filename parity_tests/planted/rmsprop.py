"""Mistakes in porting RMSprop."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("rmsprop")
INSIDE = registry.make("rmsprop_inside")
MOMENTUM = registry.make("rmsprop_momentum")
GRAVES = registry.make("rmsprop_graves")


@partial(TechniqueBug, "epsilon inside the root", PLAIN, "keras")
def epsilon_inside(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon_convention="inside"), case)


@partial(TechniqueBug, "epsilon outside the root", INSIDE, "torch")
def epsilon_outside(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon_convention="outside"), case)


@partial(TechniqueBug, "rate inside the velocity", MOMENTUM, "keras")
def rate_inside_velocity(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(velocity="update"), case)


@partial(TechniqueBug, "centre forgotten", GRAVES, "torch")
def not_centered(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **true(spec.replace(centered=False), case)}


@partial(TechniqueBug, "mean square that starts at one", INSIDE, "keras")
def starts_at_one(true: Any, spec: Any, case: Arrays) -> Arrays:
    # As TensorFlow's first RMSprop had it: one gradient in front, whose mean square is one and which moves nothing.
    first = {name: array for name, array in case.items() if name.startswith("g.")}
    ahead = {name: (1 + 0 * array[:1]) / (1 - spec.rho) ** 0.5 for name, array in first.items()}
    rates = case["learning_rate"]
    longer = {name: np.concatenate([ahead[name], array]) for name, array in first.items()}
    longer["learning_rate"] = np.concatenate([0 * rates[:1], rates])
    found = true(spec, {**case, **longer})
    return {name: array[1:] if name in ("kernel", "bias") else array for name, array in found.items()}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
