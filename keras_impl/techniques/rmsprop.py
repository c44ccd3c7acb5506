"""RMSprop. See core/techniques/rmsprop.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.rmsprop import RMSprop as Spec
from ..decay import L2, decays
from ..exact import constant
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class RMSprop(L2, keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop` with PyTorch's epsilon and velocity, L2 decay and exact squares."""

    NUMBERS = ("rho", "momentum", "epsilon")

    def __init__(self, *, epsilon_convention: str = "inside", velocity: str = "update", **options: Any) -> None:
        super().__init__(**options)
        self.epsilon_convention, self.velocity = epsilon_convention, velocity

    def _follow(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.epsilon_convention == "inside" and (self.velocity == "update" or not self.momentum):
            super()._follow(gradient, variable, learning_rate)
            return
        rate, index = ops.cast(learning_rate, variable.dtype), self._get_variable_index(variable)
        v = self._velocities[index]
        rho, epsilon = constant(self.rho, v), constant(self.epsilon, v)
        self.assign(v, rho * v + (1 - rho) * ops.square(gradient))
        square = ops.convert_to_tensor(v)
        if self.centered:
            mean = self._average_gradients[index]
            self.assign(mean, rho * mean + (1 - rho) * gradient)
            square = square - ops.square(mean)
        inside = self.epsilon_convention == "inside"
        change = gradient / (ops.sqrt(square + epsilon) if inside else ops.sqrt(square) + epsilon)
        if self.momentum:
            kept = self._momentums[index]
            step = change if self.velocity == "gradient" else rate * change
            self.assign(kept, constant(self.momentum, v) * kept + step)
            self.assign_sub(variable, rate * kept if self.velocity == "gradient" else kept)
        else:
            self.assign_sub(variable, rate * change)

    def get_config(self) -> dict[str, Any]:
        own = {"epsilon_convention": self.epsilon_convention, "velocity": self.velocity}
        return {**super().get_config(), **own}


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.RMSprop:
    optimizer = RMSprop(
        learning_rate=spec.learning_rate,
        rho=spec.rho,
        epsilon=spec.epsilon,
        momentum=spec.momentum,
        centered=spec.centered,
        epsilon_convention=spec.epsilon_convention,
        velocity=spec.velocity,
        **decays(spec),
    )
    optimizer.build(weights)
    return optimizer


def slots(optimizer: keras.optimizers.RMSprop, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    kept = {"v": list(optimizer._velocities)}
    kept |= {"mean": list(optimizer._average_gradients)} if optimizer.centered else {}
    kept |= {"velocity": list(optimizer._momentums)} if optimizer.momentum else {}
    return kept


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
