"""Mistakes in porting Adagrad."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("adagrad")
INSIDE = registry.make("adagrad_inside")
DECAYING = registry.make("adagrad_decaying")


@partial(TechniqueBug, "sum that starts at the Keras default", PLAIN, "keras")
def default_start(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(initial_accumulator_value=0.1), case)


@partial(TechniqueBug, "sum that starts at zero", INSIDE, "torch")
def start_at_zero(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(initial_accumulator_value=0.0), case)


@partial(TechniqueBug, "epsilon inside the root", DECAYING, "keras")
def epsilon_inside(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon_convention="inside"), case)


@partial(TechniqueBug, "decay of the rate one step ahead", DECAYING, "torch")
def rate_decay_ahead(true: Any, spec: Any, case: Arrays) -> Arrays:
    ahead = {}
    for name in ("learning_rate", "practice rates"):
        steps = range(len(case[name]))
        shares = [(1 + step * spec.rate_decay) / (1 + (step + 1) * spec.rate_decay) for step in steps]
        ahead[name] = case[name] * shares
    return true(spec, {**case, **ahead})


@partial(TechniqueBug, "L2 for decoupled decay", INSIDE, "torch")
def l2_for_decoupled(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay="l2"), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
