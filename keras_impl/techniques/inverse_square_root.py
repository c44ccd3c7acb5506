"""Linear warm-up and inverse square root. See core/techniques/inverse_square_root.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.inverse_square_root import InverseSquareRoot as Spec
from ..exact import constant
from ..scheduling import Schedule, trace_schedule


@keras.saving.register_keras_serializable("diglot")
class InverseSquareRoot(Schedule):
    SPEC = Spec

    def _rate(self, step: Any) -> Any:
        number = ops.cast(step, "float64") + 1
        rising = number * constant(self.spec.warmup_steps**-1.5, number)
        return constant(self.spec.factor * self.spec.d_model**-0.5, number) * ops.minimum(ops.rsqrt(number), rising)


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> InverseSquareRoot:
    optimizer.learning_rate = InverseSquareRoot(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
