"""Mistakes in porting a learning rate with warm-up and cosine decay."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

FLOOR = registry.make("warmup_cosine_floor")
COSINE = registry.make("cosine")


@partial(TechniqueBug, "one step ahead", FLOOR, "torch")
def one_step_ahead(true: Any, spec: Any, case: Arrays) -> Arrays:
    steps = np.arange(len(case["steps"]) + 1)
    return {**true(spec, case), "rates": true(spec, {"steps": steps})["rates"][1:]}


@partial(TechniqueBug, "first step taken twice", COSINE, "keras")
def one_step_behind(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates = true(spec, case)["rates"]
    return {**true(spec, case), "rates": np.concatenate([rates[:1], rates[:-1]])}


@partial(TechniqueBug, "rate that rises again after the end", FLOOR, "torch")
def no_clamp(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates, steps = true(spec, case)["rates"].copy(), case["steps"]
    progress = (steps - spec.warmup_steps) / (spec.total_steps - spec.warmup_steps)
    floor = spec.final_fraction
    after = spec.learning_rate * (floor + (1 - floor) * (1 + np.cos(np.pi * progress)) / 2)
    return {**true(spec, case), "rates": np.where(progress > 1, after, rates)}


@partial(TechniqueBug, "rate of zero after the end", FLOOR, "keras")
def zero_after_end(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "rates": np.where(case["steps"] > spec.total_steps, 0.0, true(spec, case)["rates"])}


@partial(TechniqueBug, "last fraction taken for the last rate", FLOOR, "keras")
def absolute_fraction(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(final_fraction=spec.final_fraction * spec.learning_rate), case)


@partial(TechniqueBug, "warm-up not counted in the steps of the whole", FLOOR, "torch")
def warmup_not_counted(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(total_steps=spec.total_steps + spec.warmup_steps), case)


@partial(TechniqueBug, "warm-up that starts above zero", FLOOR, "keras")
def warmup_from_one(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates, steps = true(spec, case)["rates"], case["steps"]
    return {
        **true(spec, case),
        "rates": np.where(steps < spec.warmup_steps, spec.learning_rate * (steps + 1) / spec.warmup_steps, rates),
    }


@partial(TechniqueBug, "line for the cosine", COSINE, "torch")
def linear_decay(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "rates": spec.learning_rate * np.maximum(0.0, 1 - case["steps"] / spec.total_steps)}


@partial(TechniqueBug, "schedule off by one after a resume", FLOOR, "torch")
def resumed_a_step_late(true: Any, spec: Any, case: Arrays) -> Arrays:
    result, middle = true(spec, case), spec.middle(case)
    return {**result, "rates resumed": result["rates"][middle - 1 : -1]}


@partial(TechniqueBug, "float32 after a resume, where a file keeps Python's numbers", COSINE, "keras")
def single_precision_after_a_resume(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "rates resumed": result["rates resumed"].astype("float32").astype("float64")}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
