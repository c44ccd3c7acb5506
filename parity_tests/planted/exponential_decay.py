"""Mistakes in porting an exponential decay."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("exponential_decay")
SMOOTH = registry.make("exponential_decay_smooth")
STAIRS = registry.make("exponential_decay_staircase")


@partial(TechniqueBug, "staircase forgotten", STAIRS, "keras")
def no_staircase(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(staircase=False), case)


@partial(TechniqueBug, "staircase that was not asked for", SMOOTH, "torch")
def staircase(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(staircase=True), case)


@partial(TechniqueBug, "factor at every step, whatever decay_steps", SMOOTH, "torch")
def every_step(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay_steps=1), case)


@partial(TechniqueBug, "exp(-gamma) for gamma", PLAIN, "keras")
def natural_base(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(gamma=float(np.exp(-spec.gamma))), case)


@partial(TechniqueBug, "stair one step late", STAIRS, "torch")
def late_stair(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates = true(spec, case)["rates"]
    return {**true(spec, case), "rates": np.concatenate([rates[:1], rates[:-1]])}


@partial(TechniqueBug, "steps counted from zero after a resume", SMOOTH, "keras")
def from_zero_after_a_resume(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "rates resumed": result["rates"][: len(result["rates resumed"])]}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
