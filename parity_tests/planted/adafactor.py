"""Mistakes in porting Adafactor."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.core.techniques.adafactor import Adafactor

from . import TechniqueBug

PLAIN, DECAY = registry.make("adafactor"), registry.make("adafactor_decay")
EXTERNAL = registry.make("adafactor_external", learning_rate=0.4)


class Unnormalised(Adafactor):
    def moments(self, gradient: Any, slots: Arrays, beta_2: float) -> tuple[Any, Arrays]:
        variance, kept = super().moments(gradient, slots, beta_2)
        return (variance * np.mean(kept["row"]) if "row" in kept else variance), kept


class Ahead(Adafactor):
    def moments(self, gradient: Any, slots: Arrays, beta_2: float) -> tuple[Any, Arrays]:
        step = (1 - beta_2) ** (-1 / self.decay_exponent) + 1
        return super().moments(gradient, slots, 1 - step**-self.decay_exponent)


@partial(TechniqueBug, "convolution factored over its height and width", PLAIN, "torch")
def spatial(true: Any, spec: Any, case: Arrays) -> Arrays:
    wrong = true(spec.replace(factored_axes="last_two"), case)
    return {**true(spec, case), **{name: array for name, array in wrong.items() if " of " not in name}}


@partial(TechniqueBug, "epsilon as a floor under the divisor", DECAY, "torch")
def floors(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon_convention="floor"), case)


@partial(TechniqueBug, "scale of the weight taken before its decay", DECAY, "keras")
def undecayed(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(parameter_scaling="undecayed"), case)


@partial(TechniqueBug, "external rate held below the relative step", EXTERNAL, "keras")
def relative_all_the_same(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(relative_step=True), case)


@partial(TechniqueBug, "division by the mean of the rows left out", PLAIN, "torch")
def unnormalised(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **Unnormalised(**spec.fields()).rule(case)}


@partial(TechniqueBug, "decay of the second moment one step ahead", PLAIN, "keras")
def one_ahead(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), **Ahead(**spec.fields()).rule(case)}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
