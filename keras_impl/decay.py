"""What the native optimizers lack: L2 decay, the whole gradient of an embedding, and their numbers in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .exact import constant


class L2:
    """To be put before a native class. Its `weight_decay` stays the decoupled one.

    `NUMBERS` are the settings that must be float64 where weights are, of those that the class gives to operations.
    """

    NUMBERS: tuple[str, ...] = ()

    def __init__(self, *, l2: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.l2 = l2

    def build(self, variables: Sequence[keras.Variable]) -> None:
        in_float64(self, variables, self.NUMBERS)
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # An embedding's gradient may hold several rows for one index, which must be added up before they are squared.
        gradient = tf.convert_to_tensor(gradient)
        if self.l2:
            gradient = gradient + constant(self.l2, gradient) * variable
        self._follow(gradient, variable, learning_rate)

    def _follow(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The step itself: the native one, unless a subclass follows another convention."""
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2}


def in_float64(optimizer: keras.optimizers.Optimizer, weights: Sequence[keras.Variable], names: Sequence[str]) -> None:
    """Let an optimizer of float64 weights count in float64: TensorFlow takes Python's numbers through float32."""
    if any(weight.dtype == "float64" for weight in weights):
        for name in names:
            setattr(optimizer, name, np.float64(getattr(optimizer, name)))


def decays(spec: Any) -> dict[str, Any]:
    """The two strengths of an optimizer with this decay, of which one is none."""
    decoupled = spec.decay == "decoupled" and spec.weight_decay
    return {"weight_decay": spec.weight_decay if decoupled else None, "l2": 0.0 if decoupled else spec.weight_decay}
