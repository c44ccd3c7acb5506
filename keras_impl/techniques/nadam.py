"""Adam with Nesterov's momentum. See core/techniques/nadam.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.nadam import NAdam as Spec
from ..decay import L2, decays
from ..exact import constant
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class NAdam(L2, keras.optimizers.Nadam):
    """`keras.optimizers.Nadam` with any schedule of the momentum, L2 decay and exact squares."""

    def __init__(self, *, momentum_decay: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.momentum_decay = momentum_decay

    def _mu(self, step: Any, like: Any) -> Any:
        # In float64 as PyTorch's is: in float32, the power is off by as many roundings as there are steps.
        step = ops.cast(step, "float64")
        rising = 0.5 * ops.power(constant(0.96, step), step * constant(self.momentum_decay, step))
        return ops.cast(constant(self.beta_1, step) * (1 - rising), like.dtype)

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        self._u_product.assign(self._u_product * self._mu(self.iterations + 1, self._u_product))
        # Past the native class, which multiplies by the momentum of its own schedule.
        super(keras.optimizers.Nadam, self)._backend_update_step(grads, trainable_variables, learning_rate)

    def _follow(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, index = ops.cast(learning_rate, variable.dtype), self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        beta_1, beta_2 = constant(self.beta_1, m), constant(self.beta_2, v)
        self.assign(m, beta_1 * m + (1 - beta_1) * gradient)
        self.assign(v, beta_2 * v + (1 - beta_2) * ops.square(gradient))
        now, after = self._mu(self.iterations + 1, m), self._mu(self.iterations + 2, m)
        product = ops.cast(self._u_product, m.dtype)
        ahead = after * m / (1 - product * after) + (1 - now) * gradient / (1 - product)
        correction = 1 - ops.power(beta_2, ops.cast(self.iterations + 1, v.dtype))
        self.assign_sub(variable, rate * ahead / (ops.sqrt(v / correction) + constant(self.epsilon, v)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum_decay": self.momentum_decay}


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.Nadam:
    optimizer = NAdam(
        learning_rate=spec.learning_rate,
        beta_1=spec.beta_1,
        beta_2=spec.beta_2,
        epsilon=spec.epsilon,
        momentum_decay=spec.momentum_decay,
        **decays(spec),
    )
    optimizer.build(weights)
    return optimizer


def slots(optimizer: keras.optimizers.Nadam, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    shared = [optimizer._u_product] * len(weights)
    return {"m": list(optimizer._momentums), "v": list(optimizer._velocities), "mu_product": shared}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
