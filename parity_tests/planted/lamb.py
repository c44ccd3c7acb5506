"""Mistakes in porting LAMB."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.core.techniques.lamb import LAMB

from . import TechniqueBug

PLAIN, CLIPPED = registry.make("lamb"), registry.make("lamb_clipped")


class Scaled(LAMB):
    """LAMB whose trust ratio takes another length for the step's own."""

    def length(self, gradient: Any, change: Any) -> float:
        raise NotImplementedError

    def update(self, weight: Any, gradient: Any, slots: Arrays, step: int, rate: float) -> tuple[Any, Arrays]:
        moved, kept = super().update(weight, gradient, slots, step, rate)
        change = (weight - moved) / rate
        m, v = kept["m"] / (1 - self.beta_1**step), kept["v"] / (1 - self.beta_2**step)
        ratio = m / (np.sqrt(v) + self.epsilon) + self.weight_decay * weight
        return weight - rate * change * np.linalg.norm(ratio) / self.length(gradient, ratio), kept


class ByGradient(Scaled):
    def length(self, gradient: Any, change: Any) -> float:
        return float(np.linalg.norm(gradient))


class ByMean(Scaled):
    def length(self, gradient: Any, change: Any) -> float:
        return float(np.sqrt(np.mean(change**2)))


@partial(TechniqueBug, "decay outside the trust ratio", PLAIN, "keras")
def decay_outside(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay="decoupled"), case)


@partial(TechniqueBug, "trust ratio by the norm of the gradient", PLAIN, "torch")
def by_gradient(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **ByGradient(**spec.fields()).rule(case)}


@partial(TechniqueBug, "root mean square of the step for its norm", PLAIN, "keras")
def by_mean(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **ByMean(**spec.fields()).rule(case)}


@partial(TechniqueBug, "bounds of the norm left out", CLIPPED, "torch")
def unbounded(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(least_norm=0.0, greatest_norm=None), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
