"""Lion. See core/techniques/lion.py."""

from __future__ import annotations

import keras

from ...core.technique import Arrays
from ...core.techniques.lion import Lion as Spec
from ..tracing import trace_optimizer


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.Lion:
    optimizer = keras.optimizers.Lion(
        learning_rate=spec.learning_rate,
        beta_1=spec.beta_1,
        beta_2=spec.beta_2,
        weight_decay=spec.weight_decay or None,
    )
    optimizer.build(weights)
    return optimizer


def slots(optimizer: keras.optimizers.Lion, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    return {"m": list(optimizer._momentums)}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
