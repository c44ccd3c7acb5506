"""Adagrad. See core/techniques/adagrad.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.adagrad import Adagrad as Spec
from ..decay import L2, decays
from ..exact import constant
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class Adagrad(L2, keras.optimizers.Adagrad):
    """`keras.optimizers.Adagrad` with PyTorch's epsilon and decay of the rate, L2 decay and exact squares."""

    def __init__(self, *, rate_decay: float = 0.0, epsilon_convention: str = "inside", **options: Any) -> None:
        super().__init__(**options)
        self.rate_decay, self.epsilon_convention = rate_decay, epsilon_convention

    def _follow(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype)
        if self.rate_decay:
            rate = rate / (1 + ops.cast(self.iterations, rate.dtype) * constant(self.rate_decay, rate))
        if self.epsilon_convention == "inside":
            super()._follow(gradient, variable, rate)
            return
        total = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(total, ops.square(gradient))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(total) + constant(self.epsilon, total)))

    def get_config(self) -> dict[str, Any]:
        own = {"rate_decay": self.rate_decay, "epsilon_convention": self.epsilon_convention}
        return {**super().get_config(), **own}


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.Adagrad:
    optimizer = Adagrad(
        learning_rate=spec.learning_rate,
        rate_decay=spec.rate_decay,
        initial_accumulator_value=spec.initial_accumulator_value,
        epsilon=spec.epsilon,
        epsilon_convention=spec.epsilon_convention,
        **decays(spec),
    )
    optimizer.build(weights)
    return optimizer


def slots(optimizer: keras.optimizers.Adagrad, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    return {"sum": list(optimizer._accumulators)}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
