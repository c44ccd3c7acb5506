"""Decay in steps. See core/techniques/step_decay.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from keras.optimizers import schedules

from ...core.technique import Arrays
from ...core.techniques.step_decay import StepDecay as Spec
from ..scheduling import Schedule, trace_schedule


@keras.saving.register_keras_serializable("diglot")
class StepDecay(Schedule):
    """`ExponentialDecay` in a staircase, times `PiecewiseConstantDecay`, whose boundary is the last step before."""

    SPEC = Spec

    def _rate(self, step: Any) -> Any:
        spec, gamma = self.spec, np.float64(self.spec.gamma)
        rate = ops.convert_to_tensor(np.float64(spec.learning_rate))
        if spec.every is not None:
            rate = schedules.ExponentialDecay(np.float64(spec.learning_rate), spec.every, gamma, staircase=True)(step)
        if spec.milestones:
            shares = [gamma**index for index in range(len(spec.milestones) + 1)]
            rate = rate * schedules.PiecewiseConstantDecay([first - 1 for first in spec.milestones], shares)(step)
        return rate


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> StepDecay:
    optimizer.learning_rate = StepDecay(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
