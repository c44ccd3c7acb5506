"""Mistakes in porting the one-cycle learning rate."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("one_cycle")
PAPER = registry.make("one_cycle_paper")
LINEAR = registry.make("one_cycle_linear")
THREE = registry.make("one_cycle_three_phase")


@partial(TechniqueBug, "one step ahead", PLAIN, "torch")
def one_step_ahead(true: Any, spec: Any, case: Arrays) -> Arrays:
    steps = np.arange(len(case["steps"]) + 1)
    return {**true(spec, case), "rates": true(spec, {"steps": steps})["rates"][1:]}


@partial(TechniqueBug, "schedule advanced before the first step's update", LINEAR, "keras")
def one_step_early(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates = true(spec, case)["rates"]
    return {**true(spec, case), "rates": np.concatenate([rates[1:], rates[-1:]])}


@partial(TechniqueBug, "last rate reached one step late", PLAIN, "keras")
def one_step_late(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(total_steps=spec.total_steps + 1), case)


@partial(TechniqueBug, "rate that rises again after the end", PLAIN, "torch")
def no_clamp(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates, steps = true(spec, case)["rates"], case["steps"]
    begin, end, one, other = spec.phases()[-1]
    after = one + (other - one) * (1 - np.cos(np.pi * (steps - begin) / (end - begin))) / 2
    return {**true(spec, case), "rates": np.where(steps >= spec.total_steps, after, rates)}


@partial(TechniqueBug, "last rate counted from the peak", LINEAR, "keras")
def last_from_the_peak(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(final_div_factor=spec.final_div_factor / spec.div_factor), case)


@partial(TechniqueBug, "line for the cosine", PLAIN, "keras")
def line(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(annealing="linear"), case)


@partial(TechniqueBug, "two phases for three", THREE, "torch")
def two_phases(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(three_phase=False), case)


@partial(TechniqueBug, "peak at the share itself, not a step before it", PAPER, "keras")
def later_peak(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(pct_start=spec.pct_start + 1 / spec.total_steps), case)


@partial(TechniqueBug, "share rounded down to whole steps", LINEAR, "torch")
def rounded_share(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(pct_start=int(spec.pct_start * spec.total_steps) / spec.total_steps), case)


@partial(TechniqueBug, "start at a tenth instead of a 25th", PLAIN, "torch")
def other_start(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(div_factor=10.0), case)


@partial(TechniqueBug, "rate of zero at the end", THREE, "keras")
def zero_at_the_end(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {
        **true(spec, case),
        "rates": np.where(case["steps"] >= spec.total_steps - 1, 0.0, true(spec, case)["rates"]),
    }


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
