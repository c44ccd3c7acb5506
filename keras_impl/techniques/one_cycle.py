"""One cycle. See core/techniques/one_cycle.py."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.one_cycle import OneCycle as Spec
from ..exact import constant


@keras.saving.register_keras_serializable("diglot")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """The rate of a step, in float64 whatever the precision of the network: the optimizer rounds it to its own."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.spec = Spec(**fields)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float64")
        step = ops.minimum(step, constant(self.spec.total_steps - 1, step))
        *before, last = self.spec.phases()
        rate = self._rate(step, last)
        for phase in reversed(before):
            rate = ops.where(step <= constant(phase[1], step), self._rate(step, phase), rate)
        return rate

    def _rate(self, step: Any, phase: tuple[float, float, float, float]) -> Any:
        begin, end, one, other = (constant(value, step) for value in phase)
        share = (step - begin) / (end - begin)
        if self.spec.annealing == "cosine":
            share = (1 - ops.cos(constant(math.pi, step) * share)) / 2
        return one + (other - one) * share

    def get_config(self) -> dict[str, Any]:
        return {"fields": self.spec.fields()}


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> OneCycle:
    optimizer.learning_rate = OneCycle(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    weight = keras.Variable(np.zeros(1))
    optimizer = keras.optimizers.SGD()
    optimizer.build([weight])
    build(spec, optimizer)
    rates = []
    for _ in case["steps"]:
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([keras.ops.zeros(1)])
    return {"rates": np.array(rates)}
