"""Linear warm-up and inverse square root. See core/techniques/inverse_square_root.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.inverse_square_root import InverseSquareRoot as Spec
from ..exact import constant


@keras.saving.register_keras_serializable("diglot")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """The rate of a step, in float64 whatever the precision of the network: the optimizer rounds it to its own."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.spec = Spec(**fields)

    def __call__(self, step: Any) -> Any:
        number = ops.cast(step, "float64") + 1
        rising = number * constant(self.spec.warmup_steps**-1.5, number)
        return constant(self.spec.factor * self.spec.d_model**-0.5, number) * ops.minimum(ops.rsqrt(number), rising)

    def get_config(self) -> dict[str, Any]:
        return {"fields": self.spec.fields()}


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> InverseSquareRoot:
    optimizer.learning_rate = InverseSquareRoot(spec.fields())
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
