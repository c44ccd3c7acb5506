"""Rates by hand. See core/techniques/piecewise.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.piecewise import Piecewise as Spec
from ..scheduling import Schedule, trace_schedule


@keras.saving.register_keras_serializable("diglot")
class Piecewise(Schedule):
    """`PiecewiseConstantDecay`, in float64, whose boundary is the last step before; it needs at least one."""

    SPEC = Spec

    def _rate(self, step: Any) -> Any:
        rates = [np.float64(rate) for rate in self.spec.rates]
        if not self.spec.boundaries:
            return ops.convert_to_tensor(rates[0])
        last = [first - 1 for first in self.spec.boundaries]
        return keras.optimizers.schedules.PiecewiseConstantDecay(last, rates)(step)


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> Piecewise:
    optimizer.learning_rate = Piecewise(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
