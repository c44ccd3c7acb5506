"""Polynomial decay. See core/techniques/polynomial.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ...core.technique import Arrays
from ...core.techniques.polynomial import Polynomial as Spec
from ..scheduling import Schedule, trace_schedule


@keras.saving.register_keras_serializable("diglot")
class Polynomial(Schedule):
    """`PolynomialDecay`, in float64."""

    SPEC = Spec

    def _rate(self, step: Any) -> Any:
        peak = np.float64(self.spec.learning_rate)
        return keras.optimizers.schedules.PolynomialDecay(
            peak,
            decay_steps=self.spec.total_steps,
            end_learning_rate=peak * self.spec.final_fraction,
            power=np.float64(self.spec.power),
        )(step)


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> Polynomial:
    optimizer.learning_rate = Polynomial(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
