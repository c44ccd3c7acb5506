"""Mistakes in porting rates that are given by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

LIST = registry.make("piecewise_fine_tuning")
RISING = registry.make("piecewise_rising")
CONSTANT = registry.make("piecewise_constant")


@partial(TechniqueBug, "boundary as the last step of the rate before", LIST, "keras")
def inclusive_boundaries(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(boundaries=tuple(step + 1 for step in spec.boundaries)), case)


@partial(TechniqueBug, "boundaries as lengths", RISING, "torch")
def lengths(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(boundaries=tuple(np.cumsum(spec.boundaries).tolist())), case)


@partial(TechniqueBug, "rate of zero after the list", LIST, "torch")
def zero_at_the_end(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "rates": np.where(case["steps"] >= 12, 0.0, result["rates"])}


@partial(TechniqueBug, "rates in falling order", RISING, "keras")
def sorted_rates(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(rates=tuple(sorted(spec.rates, reverse=True))), case)


@partial(TechniqueBug, "factor of a group left out", CONSTANT, "torch")
def groups_alike(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "rates times a factor": result["rates"]}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
