"""Adam. See core/techniques/adam.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.adam import Adam as Spec
from ..decay import L2
from ..exact import constant
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class Adam(L2, keras.optimizers.Adam):
    """`keras.optimizers.Adam` with two more conventions, L2 decay and PyTorch's epsilon, and exact squares."""

    NUMBERS = ("beta_1", "beta_2", "epsilon")

    def __init__(self, *, epsilon_convention: str = "uncorrected", **options: Any) -> None:
        super().__init__(**options)
        self.epsilon_convention = epsilon_convention

    def _follow(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        with converted_epsilon(self) if self.epsilon_convention == "corrected" else contextlib.nullcontext():
            super()._follow(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon_convention": self.epsilon_convention}


@contextlib.contextmanager
def converted_epsilon(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Inside, epsilon has the value by which the native class computes the other convention."""
    kept = optimizer.epsilon
    try:
        beta_2 = constant(optimizer.beta_2, optimizer._velocities[0])
        step = ops.cast(optimizer.iterations + 1, beta_2.dtype)
        optimizer.epsilon = kept * ops.sqrt(1 - ops.power(beta_2, step))
        yield
    finally:
        optimizer.epsilon = kept


def options(spec: Spec) -> dict[str, Any]:
    return {
        "learning_rate": spec.learning_rate,
        "beta_1": spec.beta_1,
        "beta_2": spec.beta_2,
        "epsilon": spec.epsilon,
        "epsilon_convention": spec.epsilon_convention,
        "amsgrad": spec.amsgrad,
    }


def build(spec: Spec, weights: list[keras.Variable]) -> keras.optimizers.Adam:
    optimizer = Adam(l2=spec.weight_decay, **options(spec))
    optimizer.build(weights)
    return optimizer


def slots(optimizer: keras.optimizers.Optimizer, weights: list[keras.Variable]) -> dict[str, list[keras.Variable]]:
    names = {"m": "_momentums", "v": "_velocities"} | ({"v_max": "_velocity_hats"} if optimizer.amsgrad else {})
    return {slot: list(getattr(optimizer, name)) for slot, name in names.items()}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
