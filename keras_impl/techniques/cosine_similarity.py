"""The angle between two vectors. See core/techniques/cosine_similarity.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.cosine_similarity import CosineSimilarity as Spec
from ..exact import constant
from ..losses import same_shape, trace_loss


@keras.saving.register_keras_serializable("diglot")
class CosineSimilarity(keras.losses.Loss):
    """One plus `keras.losses.CosineSimilarity`, whose epsilon cannot be chosen."""

    def __init__(self, epsilon: float, name: str = "cosine_similarity", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.epsilon = epsilon

    def call(self, targets: Any, outputs: Any) -> Any:
        same_shape("cosine_similarity", outputs, targets)
        return 1 - ops.sum(self._direction(outputs) * self._direction(targets), axis=-1)  # (batch, ...)

    def _direction(self, x: Any) -> Any:
        # The largest is taken of squares, as the root has no gradient at zero.
        squares = ops.sum(x * x, axis=-1, keepdims=True)
        return x * ops.rsqrt(ops.maximum(squares, constant(self.epsilon, x) ** 2))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


def build(spec: Spec) -> Callable[..., Any]:
    return CosineSimilarity(spec.epsilon)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
