"""Cross-entropy of independent yes-or-no questions. See core/techniques/binary_cross_entropy.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.binary_cross_entropy import BinaryCrossEntropy as Spec
from ..exact import constant
from ..losses import same_shape, trace_loss


@keras.saving.register_keras_serializable("diglot")
class BinaryCrossEntropy(keras.losses.Loss):
    """`keras.losses.BinaryCrossentropy(from_logits=True)` with PyTorch's weight of what is asked for."""

    def __init__(
        self, pos_weight: float, label_smoothing: float, name: str = "binary_cross_entropy", **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        self.pos_weight, self.label_smoothing = pos_weight, label_smoothing

    def call(self, targets: Any, logits: Any) -> Any:
        same_shape("binary_cross_entropy", logits, targets)
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        if self.pos_weight == 1:
            return tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
        return tf.nn.weighted_cross_entropy_with_logits(targets, logits, constant(self.pos_weight, logits))

    def get_config(self) -> dict[str, Any]:
        own = {"pos_weight": self.pos_weight, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own}


def build(spec: Spec) -> Callable[..., Any]:
    return BinaryCrossEntropy(spec.pos_weight, spec.label_smoothing)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
