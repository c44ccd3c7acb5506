"""Linear warm-up and cosine decay. See core/techniques/warmup_cosine.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ...core.technique import Arrays
from ...core.techniques.warmup_cosine import WarmupCosine as Spec
from ..scheduling import Schedule, trace_schedule


@keras.saving.register_keras_serializable("diglot")
class WarmupCosine(Schedule):
    """`CosineDecay`, in float64."""

    SPEC = Spec

    def _rate(self, step: Any) -> Any:
        return keras.optimizers.schedules.CosineDecay(
            np.float64(0.0),
            decay_steps=self.spec.decay_steps(),
            alpha=np.float64(self.spec.final_fraction),
            warmup_target=np.float64(self.spec.learning_rate),
            warmup_steps=self.spec.warmup_steps,
        )(step)


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> WarmupCosine:
    optimizer.learning_rate = WarmupCosine(spec.fields())
    return optimizer._learning_rate


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
