"""Cross-entropy. See core/techniques/cross_entropy.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.cross_entropy import CrossEntropy as Spec


@keras.saving.register_keras_serializable("diglot")
class CrossEntropy(keras.losses.Loss):
    """`keras.losses.CategoricalCrossentropy` on class indices, with smoothing and an ignored class together."""

    def __init__(
        self, label_smoothing: float, ignore_index: int | None, name: str = "cross_entropy", **options: Any
    ) -> None:
        super().__init__(name=name, **{**options, "reduction": "sum"})
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index

    def call(self, targets: Any, logits: Any) -> Any:
        classes = logits.shape[-1]
        targets = ops.cast(targets, "int64")
        valid = ops.ones_like(targets) if self.ignore_index is None else ops.not_equal(targets, self.ignore_index)
        valid = ops.cast(valid, logits.dtype)
        wanted = ops.one_hot(ops.where(valid > 0, targets, 0), classes, dtype=logits.dtype)
        smoothed = wanted * (1 - self.label_smoothing) + self.label_smoothing / classes
        losses = ops.categorical_crossentropy(smoothed, logits, from_logits=True)  # (batch, ...)
        return losses * valid / ops.sum(valid)

    def get_config(self) -> dict[str, Any]:
        own = {"label_smoothing": self.label_smoothing, "ignore_index": self.ignore_index}
        return {**super().get_config(), **own}


def build(spec: Spec) -> Callable[..., Any]:
    if not spec.label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=spec.ignore_index)
    return CrossEntropy(spec.label_smoothing, spec.ignore_index)


def trace(spec: Spec, case: Arrays) -> Arrays:
    logits = tf.convert_to_tensor(case["logits"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = build(spec)(case["targets"], logits)
    return {"loss": loss.numpy(), "gradient": tape.gradient(loss, logits).numpy()}
