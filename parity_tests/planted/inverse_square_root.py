"""Mistakes in porting a learning rate with warm-up and inverse square root."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

SMALL = registry.make("inverse_square_root_small")
PEAK = registry.make("inverse_square_root_peak")
FLAT = registry.make("inverse_square_root_no_warmup")


def formula(spec: Any, numbers: Any, warmup_steps: float) -> Any:
    """The paper's, for these step numbers."""
    return spec.factor * spec.d_model**-0.5 * np.minimum(numbers**-0.5, numbers * warmup_steps**-1.5)


@partial(TechniqueBug, "steps of the formula counted from 0", SMALL, "torch")
def counted_from_zero(true: Any, spec: Any, case: Arrays) -> Arrays:
    steps = case["steps"].astype(float)
    return {
        **true(spec, case),
        "rates": np.where(steps > 0, formula(spec, np.maximum(steps, 1), spec.warmup_steps), 0.0),
    }


@partial(TechniqueBug, "first step taken twice, against the division by zero", PEAK, "keras")
def first_step_twice(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "rates": formula(spec, np.maximum(case["steps"], 1.0), spec.warmup_steps)}


@partial(TechniqueBug, "steps counted from 2", FLAT, "keras")
def one_step_ahead(true: Any, spec: Any, case: Arrays) -> Arrays:
    steps = np.arange(len(case["steps"]) + 1)
    return {**true(spec, case), "rates": true(spec, {"steps": steps})["rates"][1:]}


@partial(TechniqueBug, "warm-up one step too long", SMALL, "keras")
def longer_warmup(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(warmup_steps=spec.warmup_steps + 1), case)


@partial(TechniqueBug, "width forgotten", SMALL, "torch")
def width_forgotten(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(d_model=1), case)


@partial(TechniqueBug, "warm-up scaled by its inverse square root", PEAK, "torch")
def wrong_power(true: Any, spec: Any, case: Arrays) -> Arrays:
    steps = case["steps"] + 1.0
    rising = spec.factor * spec.d_model**-0.5 * steps * spec.warmup_steps**-0.5
    return {**true(spec, case), "rates": np.where(steps < spec.warmup_steps, rising, true(spec, case)["rates"])}


@partial(TechniqueBug, "larger of the two branches", SMALL, "torch")
def larger_branch(true: Any, spec: Any, case: Arrays) -> Arrays:
    steps = case["steps"] + 1.0
    return {
        **true(spec, case),
        "rates": spec.factor * spec.d_model**-0.5 * np.maximum(steps**-0.5, steps * spec.warmup_steps**-1.5),
    }


@partial(TechniqueBug, "fall counted from the end of the warm-up", PEAK, "keras")
def fall_from_the_peak(true: Any, spec: Any, case: Arrays) -> Arrays:
    steps, rates = case["steps"] + 1.0, true(spec, case)["rates"]
    since = np.maximum(steps - spec.warmup_steps + 1, 1)
    return {**true(spec, case), "rates": np.where(steps > spec.warmup_steps, spec.peak() * since**-0.5, rates)}


@partial(TechniqueBug, "rate 0.1% too large", FLAT, "torch")
def larger_rate(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(factor=spec.factor * 1.001), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
