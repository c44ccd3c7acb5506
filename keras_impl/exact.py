"""Operations whose TensorFlow kernels hold a float32 constant even in float64, written with an exact one.

`tf.nn.gelu` divides by a float32 square root of two: in float64 it is off by 2e-9. Seen on Keras 3.15, TensorFlow 2.21.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


class GELU(keras.layers.Layer):
    """Hendrycks and Gimpel (2016), section 2: x times the normal distribution function, exactly or by tanh."""

    def __init__(self, *, approximate: bool) -> None:
        super().__init__()
        self.approximate = approximate

    def call(self, x: Any) -> Any:
        if self.approximate:
            cubic = x + constant(0.044715, x) * x * x * x
            return constant(0.5, x) * x * (1 + ops.tanh(constant(math.sqrt(2 / math.pi), x) * cubic))
        return constant(0.5, x) * x * (1 + ops.erf(x * constant(math.sqrt(0.5), x)))


def constant(value: float, like: Any) -> Any:
    """A number as a tensor of the precision of another one, without passing through float32."""
    return ops.convert_to_tensor(value, dtype=like.dtype)
