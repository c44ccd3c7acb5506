"""Adam with decoupled weight decay. See core/techniques/adamw.py."""

from __future__ import annotations

import keras

from ...core.technique import Arrays
from ...core.techniques.adamw import AdamW as Spec
from ..tracing import trace_optimizer
from .adam import Adam, options, slots


@keras.saving.register_keras_serializable("diglot")
class AdamW(Adam, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with PyTorch's convention for epsilon, and exact squares."""


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.AdamW:
    optimizer = AdamW(weight_decay=spec.weight_decay, **options(spec))
    optimizer.build(weights)
    return optimizer


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
