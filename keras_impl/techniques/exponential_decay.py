"""Exponential decay. See core/techniques/exponential_decay.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ...core.technique import Arrays
from ...core.techniques.exponential_decay import ExponentialDecay as Spec
from ..scheduling import Schedule, trace_schedule


@keras.saving.register_keras_serializable("diglot")
class ExponentialDecay(Schedule):
    """Keras's own of this name, in float64."""

    SPEC = Spec

    def _rate(self, step: Any) -> Any:
        return keras.optimizers.schedules.ExponentialDecay(
            np.float64(self.spec.learning_rate),
            decay_steps=self.spec.decay_steps,
            decay_rate=np.float64(self.spec.gamma),
            staircase=self.spec.staircase,
        )(step)


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> ExponentialDecay:
    optimizer.learning_rate = ExponentialDecay(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
