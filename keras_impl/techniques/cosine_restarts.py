"""Cosine decay with warm restarts. See core/techniques/cosine_restarts.py."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.cosine_restarts import CosineRestarts as Spec
from ..exact import constant
from ..scheduling import Schedule, trace_schedule


@keras.saving.register_keras_serializable("diglot")
class CosineRestarts(Schedule):
    """The periods are found by their first steps, where `CosineDecayRestarts` takes a logarithm."""

    SPEC = Spec

    def _rate(self, step: Any) -> Any:
        step, first = ops.cast(step, "float64"), self.spec.first_period
        if self.spec.period_factor == 1:
            start, period = ops.floor(step / constant(first, step)) * constant(first, step), constant(first, step)
        else:
            starts = ops.convert_to_tensor(self.spec.starts(2**53), dtype="float64")
            index = ops.sum(ops.cast(step >= starts, "int32")) - 1
            start, period = starts[index], (starts[1:] - starts[:-1])[index]
        cosine = (1 + ops.cos(constant(math.pi, step) * (step - start) / period)) / 2
        floor = constant(self.spec.final_fraction, step)
        return constant(self.spec.learning_rate, step) * (floor + (1 - floor) * cosine)


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> CosineRestarts:
    optimizer.learning_rate = CosineRestarts(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
