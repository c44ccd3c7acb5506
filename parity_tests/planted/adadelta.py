"""Mistakes in porting Adadelta."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("adadelta")
DECOUPLED = registry.make("adadelta_decoupled")


@partial(TechniqueBug, "rho left at the Keras default", PLAIN, "keras")
def default_rho(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(rho=0.95), case)


@partial(TechniqueBug, "epsilon 0.1% too large", PLAIN, "torch")
def larger_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=spec.epsilon * 1.001), case)


@partial(TechniqueBug, "rate left at the Keras default", PLAIN, "keras")
def default_rate(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates = {name: np.full_like(case[name], 0.001) for name in ("learning_rate", "practice rates")}
    return true(spec, {**case, **rates})


@partial(TechniqueBug, "steps measured after they are multiplied by the rate", PLAIN, "torch")
def scaled_steps(true: Any, spec: Any, case: Arrays) -> Arrays:
    wrong: Arrays = {}
    for name in spec.AXES:
        weight, history = case[f"w.{name}"], []
        v, u = np.zeros_like(weight), np.zeros_like(weight)
        for gradient, rate in zip(case[f"g.{name}"], case["learning_rate"], strict=True):
            v = spec.rho * v + (1 - spec.rho) * gradient**2
            change = rate * np.sqrt(u + spec.epsilon) / np.sqrt(v + spec.epsilon) * gradient
            u = spec.rho * u + (1 - spec.rho) * change**2
            weight = weight - change
            history.append(weight)
        wrong |= {name: np.stack(history), f"v of {name}": v, f"u of {name}": u}
    return {**true(spec, case), **wrong}


@partial(TechniqueBug, "L2 for decoupled decay", DECOUPLED, "torch")
def l2_for_decoupled(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay="l2"), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
