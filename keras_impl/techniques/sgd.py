"""Stochastic gradient descent. See core/techniques/sgd.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.sgd import SGD as Spec
from ..exact import constant
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class SGD(keras.optimizers.SGD):
    """`keras.optimizers.SGD` with two more conventions: L2 decay, and PyTorch's velocity."""

    def __init__(self, *, l2: float = 0.0, velocity: str = "update", **options: Any) -> None:
        super().__init__(**options)
        self.l2, self.velocity = l2, velocity

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        gradient = gradient + constant(self.l2, gradient) * variable
        if self.velocity == "update" or not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        rate = ops.cast(learning_rate, variable.dtype)
        velocity = self.momentums[self._get_variable_index(variable)]
        momentum = constant(self.momentum, velocity)
        self.assign(velocity, momentum * velocity + gradient)
        self.assign_sub(variable, rate * (gradient + momentum * velocity if self.nesterov else velocity))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2, "velocity": self.velocity}


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.SGD:
    options = {"learning_rate": spec.learning_rate, "momentum": spec.momentum, "nesterov": spec.nesterov}
    decoupled = spec.weight_decay if spec.decay == "decoupled" and spec.weight_decay else None
    if (spec.decay == "decoupled" or not spec.weight_decay) and (spec.velocity == "update" or not spec.momentum):
        optimizer = keras.optimizers.SGD(weight_decay=decoupled, **options)
    else:
        l2 = spec.weight_decay if spec.decay == "l2" else 0.0
        optimizer = SGD(l2=l2, velocity=spec.velocity, weight_decay=decoupled, **options)
    optimizer.build(weights)
    return optimizer


def slots(optimizer: keras.optimizers.SGD, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    return {"velocity": list(optimizer.momentums)} if optimizer.momentum else {}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
