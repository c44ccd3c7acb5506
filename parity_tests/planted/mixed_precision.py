"""Mistakes in scaling losses."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

OFTEN = registry.make("mixed_precision_often")
STEEP = registry.make("mixed_precision_steep")
HIGHEST = registry.make("mixed_precision", growth_interval=1, initial_scale=2.0**120)


def scaled(spec: Any, case: Arrays, **wrong: Any) -> Arrays:
    """The state machine written out, with what `wrong` says of it."""
    weight, scale, count, scales, taken = case["weight"], spec.initial_scale, 0, [], []
    for gradient, overflow in zip(case["gradients"], case["overflow"], strict=True):
        if overflow:
            scale = scale * wrong.get("backoff", spec.backoff_factor)
            count = count if wrong.get("keeps_count") else 0
        else:
            count += 1
        stepped = not overflow or wrong.get("never_skips", False)
        if stepped:
            weight = weight - spec.RATE * (0.0 if overflow else gradient) / (
                scale if wrong.get("not_unscaled") else 1.0
            )
        if not overflow and count >= spec.growth_interval + wrong.get("late", 0):
            scale, count = scale * wrong.get("growth", spec.growth_factor), 0
        scales.append(scale)
        taken.append(stepped)
    return {"weight": weight, "scale": np.array(scales, np.float64), "steps taken": np.cumsum(taken)}


@partial(TechniqueBug, "an overflow does not start the count again", OFTEN, "torch")
def count_kept(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **scaled(spec, case, keeps_count=True)}


@partial(TechniqueBug, "a rise one step late", OFTEN, "keras")
def late(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **scaled(spec, case, late=1)}


@partial(TechniqueBug, "a skipped step counts as taken", OFTEN, "keras")
def counts_skipped(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **scaled(spec, case, never_skips=True)}


@partial(TechniqueBug, "gradients are not unscaled", OFTEN, "torch")
def not_unscaled(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **scaled(spec, case, not_unscaled=True)}


@partial(TechniqueBug, "the factors left as Keras has them", STEEP, "keras")
def fixed_factors(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **scaled(spec, case, growth=2.0, backoff=0.5)}


@partial(TechniqueBug, "the factors swapped", STEEP, "torch")
def swapped_factors(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **scaled(spec, case, growth=1 / spec.backoff_factor, backoff=1 / spec.growth_factor)}


@partial(TechniqueBug, "a scale that grows to infinity", HIGHEST, "keras")
def endless(true: Any, spec: Any, case: Arrays) -> Arrays:
    found = scaled(spec, {**case, "overflow": np.zeros_like(case["overflow"])})
    return {**true(spec, case), "scale": found["scale"]}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
