"""Mistakes in porting Lion."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.core.techniques.lion import Lion

from . import TechniqueBug

PLAIN, DECAY = registry.make("lion"), registry.make("lion_decay")


class MeanFirst(Lion):
    def update(self, weight: Any, gradient: Any, slots: Arrays, step: int, rate: float) -> tuple[Any, Arrays]:
        kept = super().update(weight, gradient, slots, step, rate)[1]
        return super().update(weight, gradient, kept, step, rate)[0], kept


class L2(Lion):
    def update(self, weight: Any, gradient: Any, slots: Arrays, step: int, rate: float) -> tuple[Any, Arrays]:
        decayed = gradient + self.weight_decay * weight
        return Lion.update(self.replace(weight_decay=0.0), weight, decayed, slots, step, rate)


@partial(TechniqueBug, "mean renewed before the step", PLAIN, "torch")
def mean_first(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **MeanFirst(**spec.fields()).rule(case)}


@partial(TechniqueBug, "betas swapped", PLAIN, "keras")
def swapped_betas(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(beta_1=spec.beta_2, beta_2=spec.beta_1), case)


@partial(TechniqueBug, "L2 for the decoupled decay", DECAY, "keras")
def l2(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **L2(**spec.fields()).rule(case)}


@partial(TechniqueBug, "decay left out", DECAY, "torch")
def no_decay(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(weight_decay=0.0), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
