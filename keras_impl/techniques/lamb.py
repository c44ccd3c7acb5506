"""LAMB. See core/techniques/lamb.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.lamb import LAMB as Spec
from ..exact import constant
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class LAMB(keras.optimizers.Lamb):
    """`keras.optimizers.Lamb` with the paper's decay inside the ratio and its bounds of the norm, and exact squares."""

    def __init__(
        self, *, inside: float = 0.0, least_norm: float = 0.0, greatest_norm: float | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.inside, self.least_norm, self.greatest_norm = inside, least_norm, greatest_norm

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # An embedding's gradient may hold several rows for one index, which must be added up before they are squared.
        gradient = tf.convert_to_tensor(gradient)
        if not self.inside and not self.least_norm and self.greatest_norm is None:
            super().update_step(gradient, variable, learning_rate)
            return
        change = self._ratio(gradient, self._get_variable_index(variable))
        if self.inside and self._use_weight_decay(variable):
            change = change + constant(self.inside, change) * variable
        length = ops.maximum(ops.norm(ops.reshape(variable, (-1,))), constant(self.least_norm, change))
        if self.greatest_norm is not None:
            length = ops.minimum(length, constant(self.greatest_norm, change))
        size, one = ops.norm(ops.reshape(change, (-1,))), constant(1.0, change)
        trust = ops.where(ops.logical_and(length > 0, size > 0), length / ops.where(size > 0, size, one), one)
        self.assign_sub(variable, ops.cast(learning_rate, change.dtype) * trust * change)

    def _ratio(self, gradient: Any, index: int) -> Any:
        m, v = self._momentums[index], self._velocities[index]
        beta_1, beta_2, epsilon = (constant(value, m) for value in (self.beta_1, self.beta_2, self.epsilon))
        self.assign(m, beta_1 * m + (1 - beta_1) * gradient)
        self.assign(v, beta_2 * v + (1 - beta_2) * gradient * gradient)
        step = ops.cast(self.iterations + 1, m.dtype)
        return m / (1 - ops.power(beta_1, step)) / (ops.sqrt(v / (1 - ops.power(beta_2, step))) + epsilon)

    def get_config(self) -> dict[str, Any]:
        own = {"inside": self.inside, "least_norm": self.least_norm, "greatest_norm": self.greatest_norm}
        return {**super().get_config(), **own}


def build(spec: Spec, weights: list[keras.Variable]) -> LAMB:
    optimizer = LAMB(
        inside=spec.weight_decay if spec.decay == "inside" else 0.0,
        least_norm=spec.least_norm,
        greatest_norm=spec.greatest_norm,
        learning_rate=spec.learning_rate,
        beta_1=spec.beta_1,
        beta_2=spec.beta_2,
        epsilon=spec.epsilon,
        weight_decay=(spec.weight_decay or None) if spec.decay == "decoupled" else None,
    )
    optimizer.build(weights)
    return optimizer


def slots(optimizer: LAMB, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    return {"m": list(optimizer._momentums), "v": list(optimizer._velocities)}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
