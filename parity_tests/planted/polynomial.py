"""Mistakes in porting a polynomial decay."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("polynomial")
FLOOR = registry.make("polynomial_floor")
ROOT = registry.make("polynomial_root")


@partial(TechniqueBug, "power of one, as by default", FLOOR, "torch")
def line(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(power=1.0), case)


@partial(TechniqueBug, "last rate of 1e-4, as by Keras's default", PLAIN, "keras")
def native_floor(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(final_fraction=1e-4 / spec.learning_rate), case)


@partial(TechniqueBug, "power of the whole rate, its floor included", FLOOR, "keras")
def power_of_the_floor(true: Any, spec: Any, case: Arrays) -> Arrays:
    left = 1 - np.minimum(case["steps"], spec.total_steps) / spec.total_steps
    share = spec.final_fraction + (1 - spec.final_fraction) * left
    return {**true(spec, case), "rates": spec.learning_rate * share**spec.power}


@partial(TechniqueBug, "rate that starts again after the end", ROOT, "torch")
def cycle(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates = true(spec, case)["rates"]
    return {**true(spec, case), "rates": rates[case["steps"] % (spec.total_steps + 1)]}


@partial(TechniqueBug, "first step after a resume taken twice", FLOOR, "torch")
def resumed_a_step_late(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    middle = spec.middle(case)
    return {**result, "rates resumed": result["rates"][middle - 1 : -1]}


@partial(TechniqueBug, "one step skipped in a resume", ROOT, "keras")
def resumed_a_step_early(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    later = np.append(result["rates resumed"][1:], result["rates"][-1])
    return {**result, "rates resumed": later}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
