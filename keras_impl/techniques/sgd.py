"""Stochastic gradient descent. See core/techniques/sgd.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.sgd import SGD as Spec
from ..decay import L2, decays, in_float64
from ..exact import constant
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class SGD(L2, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with two more conventions: L2 decay, and PyTorch's velocity."""

    NUMBERS = ("momentum",)

    def __init__(self, *, velocity: str = "update", **options: Any) -> None:
        super().__init__(**options)
        self.velocity = velocity

    def _follow(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.velocity == "update" or not self.momentum:
            super()._follow(gradient, variable, learning_rate)
            return
        rate = ops.cast(learning_rate, variable.dtype)
        velocity = self.momentums[self._get_variable_index(variable)]
        momentum = constant(self.momentum, velocity)
        self.assign(velocity, momentum * velocity + gradient)
        self.assign_sub(variable, rate * (gradient + momentum * velocity if self.nesterov else velocity))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "velocity": self.velocity}


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.SGD:
    options = {"learning_rate": spec.learning_rate, "momentum": spec.momentum, "nesterov": spec.nesterov}
    if (spec.decay == "decoupled" or not spec.weight_decay) and (spec.velocity == "update" or not spec.momentum):
        optimizer = keras.optimizers.SGD(weight_decay=decays(spec)["weight_decay"], **options)
    else:
        optimizer = SGD(velocity=spec.velocity, **decays(spec), **options)
    in_float64(optimizer, weights, SGD.NUMBERS)
    optimizer.build(weights)
    return optimizer


def slots(optimizer: keras.optimizers.SGD, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    return {"velocity": list(optimizer.momentums)} if optimizer.momentum else {}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
