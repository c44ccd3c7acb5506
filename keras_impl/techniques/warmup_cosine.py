"""Linear warm-up and cosine decay. See core/techniques/warmup_cosine.py."""

from __future__ import annotations

import keras
import numpy as np

from ...core.technique import Arrays
from ...core.techniques.warmup_cosine import WarmupCosine as Spec


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.schedules.CosineDecay:
    # CosineDecay computes in the precision of its first rate, which is float32 for a Python float even in float64.
    optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(
        np.float64(0.0),
        decay_steps=spec.decay_steps(),
        alpha=spec.final_fraction,
        warmup_target=np.float64(spec.learning_rate),
        warmup_steps=spec.warmup_steps,
    )
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
