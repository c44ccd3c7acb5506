"""Mistakes in porting a cosine with warm restarts."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("cosine_restarts")
DOUBLED = registry.make("cosine_restarts_doubled")
TRIPLED = registry.make("cosine_restarts_tripled")


@partial(TechniqueBug, "periods twice as long each, as by Keras's default", PLAIN, "keras")
def native_factor(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(period_factor=2), case)


@partial(TechniqueBug, "restart one step late, where a logarithm is rounded down", TRIPLED, "keras")
def rounded_logarithm(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    late = np.where(case["steps"] == 1 + 3 + 9, 0.0, result["rates"])
    return {**result, "rates": late}


@partial(TechniqueBug, "restart one step early, so that the last rate is never approached", DOUBLED, "torch")
def early_restart(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(first_period=spec.first_period - 1), case)


@partial(TechniqueBug, "last rate reached within the period", DOUBLED, "keras")
def last_step_at_the_floor(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates = []
    for step in case["steps"]:
        start = spec.starts(step + 1)[-1]
        period = spec.first_period * spec.period_factor ** (len(spec.starts(step + 1)) - 1)
        cosine = (1 + np.cos(np.pi * (step - start) / (period - 1))) / 2
        rates.append(spec.learning_rate * (spec.final_fraction + (1 - spec.final_fraction) * cosine))
    return {**true(spec, case), "rates": np.array(rates)}


@partial(TechniqueBug, "last rate taken for a fraction", DOUBLED, "torch")
def absolute_floor(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(final_fraction=spec.final_fraction * spec.learning_rate), case)


@partial(TechniqueBug, "period forgotten in a resume", DOUBLED, "torch")
def first_period_after_a_resume(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    count = len(result["rates resumed"])
    return {**result, "rates resumed": result["rates"][:count]}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
