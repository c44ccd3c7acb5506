"""Adadelta. See core/techniques/adadelta.py."""

from __future__ import annotations

import keras

from ...core.technique import Arrays
from ...core.techniques.adadelta import Adadelta as Spec
from ..decay import L2, decays
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class Adadelta(L2, keras.optimizers.Adadelta):
    """`keras.optimizers.Adadelta` with L2 decay and exact squares."""


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.Adadelta:
    optimizer = Adadelta(learning_rate=spec.learning_rate, rho=spec.rho, epsilon=spec.epsilon, **decays(spec))
    optimizer.build(weights)
    return optimizer


def slots(optimizer: keras.optimizers.Adadelta, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    return {"v": list(optimizer._accumulated_grads), "u": list(optimizer._accumulated_delta_vars)}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
