"""One cycle. See core/techniques/one_cycle.py."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.one_cycle import OneCycle as Spec
from ..exact import constant
from ..scheduling import Schedule, trace_schedule


@keras.saving.register_keras_serializable("diglot")
class OneCycle(Schedule):
    SPEC = Spec

    def _rate(self, step: Any) -> Any:
        step = ops.cast(step, "float64")
        step = ops.minimum(step, constant(self.spec.total_steps - 1, step))
        *before, last = self.spec.phases()
        rate = self._between(step, last)
        for phase in reversed(before):
            rate = ops.where(step <= constant(phase[1], step), self._between(step, phase), rate)
        return rate

    def _between(self, step: Any, phase: tuple[float, float, float, float]) -> Any:
        begin, end, one, other = (constant(value, step) for value in phase)
        share = (step - begin) / (end - begin)
        if self.spec.annealing == "cosine":
            share = (1 - ops.cos(constant(math.pi, step) * share)) / 2
        return one + (other - one) * share


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> OneCycle:
    optimizer.learning_rate = OneCycle(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
