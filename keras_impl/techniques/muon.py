"""Muon. See core/techniques/muon.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.muon import Muon as Spec
from ..exact import constant
from ..newton_schulz import orthogonalised
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon` in all conventions; `excluded` numbers the matrices that AdamW updates all the same."""

    def __init__(self, *, fields: dict[str, Any], excluded: Iterable[int] = (), **options: Any) -> None:
        super().__init__(**options)
        self.spec, self.excluded = Spec(**fields), tuple(excluded)

    def _should_use_adamw(self, variable: Any) -> bool:
        left_out = self._get_variable_index(variable) in self.excluded
        return left_out or not self.spec.orthogonalises(len(variable.shape))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # An embedding's gradient may hold several rows for one index, which must be added up before they are squared.
        super().update_step(tf.convert_to_tensor(gradient), variable, learning_rate)

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        spec, rate, momentum = self.spec, ops.cast(lr, gradient.dtype), constant(self.momentum, gradient)
        share = 1 - momentum if spec.momentum_convention == "average" else constant(1.0, gradient)
        self.assign(m, momentum * m + share * gradient)
        ahead = share * gradient + momentum * m if self.nesterov else ops.convert_to_tensor(m)
        matrix = ops.reshape(ahead, (-1, ahead.shape[-1]))  # (height width in) out
        change = orthogonalised(
            matrix, spec.coefficients, self.ns_steps, self.epsilon, spec.epsilon_convention, spec.precision
        )
        adjustment = constant(spec.adjustment(*matrix.shape), rate)
        self.assign_sub(variable, rate * adjustment * ops.reshape(change, variable.shape))

    def _adamw_update_step(self, gradient: Any, variable: Any, learning_rate: Any, m: Any, v: Any) -> None:
        kept, epsilon = self.epsilon, constant(self.spec.adam_epsilon, gradient)
        if self.spec.adam_epsilon_convention == "corrected":
            step = ops.cast(self.iterations + 1, gradient.dtype)
            epsilon = epsilon * ops.sqrt(1 - ops.power(constant(self.adam_beta_2, gradient), step))
        try:
            self.epsilon = epsilon
            super()._adamw_update_step(gradient, variable, learning_rate, m, v)
        finally:
            self.epsilon = kept

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fields": self.spec.fields(), "excluded": self.excluded}


def build(spec: Spec, weights: list[keras.Variable], tables: Iterable[keras.Variable] = ()) -> Muon:
    left_out = {id(variable) for variable in tables}
    optimizer = Muon(
        fields=spec.fields(),
        excluded=[number for number, variable in enumerate(weights) if id(variable) in left_out],
        learning_rate=spec.learning_rate,
        adam_beta_1=spec.adam_beta_1,
        adam_beta_2=spec.adam_beta_2,
        # Keras's decay of what AdamW updates does not follow its share of the rate.
        adam_weight_decay=spec.weight_decay * spec.adam_rate_ratio,
        epsilon=spec.epsilon,
        weight_decay=spec.weight_decay,
        adam_lr_ratio=spec.adam_rate_ratio,
        momentum=spec.momentum,
        ns_steps=spec.iterations,
        nesterov=spec.nesterov,
    )
    optimizer.build(weights)
    return optimizer


def slots(optimizer: Muon, weights: list[keras.Variable]) -> dict[str, list[keras.Variable | None]]:
    moments, squares = optimizer.momentums, optimizer.adam_velocities
    first = {
        name: [moment if (square is None) is matrix else None for moment, square in zip(moments, squares, strict=True)]
        for name, matrix in {"momentum": True, "m": False}.items()
    }
    return {**first, "v": list(squares)}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
