"""Mistakes in porting the reduction of the rate on a plateau."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest import mock

from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.core.techniques.reduce_on_plateau import ReduceOnPlateau

from . import TechniqueBug

RELATIVE = registry.make("reduce_on_plateau_relative")
KERAS = registry.make("reduce_on_plateau_keras")
LARGEST = registry.make("reduce_on_plateau_max")
KERAS_LARGEST = registry.make("reduce_on_plateau_keras_max")


@partial(TechniqueBug, "patience of the other framework", RELATIVE, "keras")
def patience_reached(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(patience_convention="reached", cooldown=spec.cooldown + 1), case)


@partial(TechniqueBug, "patience off by one", KERAS, "torch")
def patience_exceeded(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(patience=spec.patience + 1), case)


@partial(TechniqueBug, "cooldown ignored", RELATIVE, "torch")
def no_cooldown(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(cooldown=0), case)


@partial(TechniqueBug, "cooldown one epoch longer", KERAS, "torch")
def longer_cooldown(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(cooldown=spec.cooldown + 1), case)


@partial(TechniqueBug, "relative threshold for an absolute one", KERAS, "keras")
def relative_threshold(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(threshold_mode="relative"), case)


@partial(TechniqueBug, "difference compared with the threshold", LARGEST, "keras")
def difference(true: Any, spec: Any, case: Arrays) -> Arrays:
    def better(self: Any, value: float, best: float) -> bool:
        return (best - value if self.mode == "min" else value - best) > self.threshold

    with mock.patch.object(ReduceOnPlateau, "better", better):
        return true(spec, case)


@partial(TechniqueBug, "less taken for better", LARGEST, "keras")
def wrong_direction(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(mode="min"), case)


@partial(TechniqueBug, "least rate ignored", LARGEST, "torch")
def no_floor(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(min_rate=0.0), case)


@partial(TechniqueBug, "threshold ignored", KERAS_LARGEST, "keras")
def any_change(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(threshold=0.0), case)


@partial(TechniqueBug, "best and counter forgotten in a resume", RELATIVE, "keras")
def forgotten(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    late = true(spec, {name: array[:, spec.middle() :] for name, array in case.items()})["rates"]
    return {**result, "rates resumed": late}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
