"""Cross-entropy. See core/techniques/cross_entropy.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.cross_entropy import CrossEntropy as Spec
from ..exact import constant
from ..losses import one_weight_each, same_shape, trace_loss


@keras.saving.register_keras_serializable("diglot")
class CrossEntropy(keras.losses.Loss):
    """`keras.losses.CategoricalCrossentropy` on classes, with smoothing, an ignored class and weights together."""

    def __init__(
        self,
        label_smoothing: float,
        ignore_index: int | None,
        targets: str = "indices",
        class_weights: tuple[float, ...] | None = None,
        weight_convention: str = "by_weights",
        name: str = "cross_entropy",
        **options: Any,
    ) -> None:
        super().__init__(name=name, **{**options, "reduction": "sum"})
        self.spec = Spec(
            label_smoothing=label_smoothing,
            ignore_index=ignore_index,
            targets=targets,
            class_weights=class_weights,
            weight_convention=weight_convention,
        )

    def call(self, targets: Any, logits: Any) -> Any:
        spec, classes = self.spec, logits.shape[-1]
        one_weight_each("cross_entropy", spec.class_weights, logits)
        if spec.targets == "probabilities":
            same_shape("cross_entropy", logits, targets)
            losses = self._crossed(targets, logits)  # (batch, ...)
            return losses / ops.cast(ops.size(losses), losses.dtype)
        targets = ops.cast(targets, "int64")
        valid = ops.ones_like(targets) if spec.ignore_index is None else ops.not_equal(targets, spec.ignore_index)
        valid = ops.cast(valid, logits.dtype)
        known = ops.where(valid > 0, targets, 0)
        wanted = ops.one_hot(known, classes, dtype=logits.dtype)
        losses = self._crossed(wanted, logits)  # (batch, ...)
        if not spec.class_weights:
            return losses * valid / ops.sum(valid)
        own = ops.take(constant(spec.class_weights, logits), known)  # (batch, ...)
        if spec.weight_convention == "by_weights":
            return losses * valid / ops.sum(own * valid)
        return losses * own * valid / ops.sum(valid)

    def _crossed(self, wanted: Any, logits: Any) -> Any:
        spec = self.spec
        smoothed = wanted * (1 - spec.label_smoothing) + spec.label_smoothing / logits.shape[-1]
        if spec.class_weights and spec.weight_convention == "by_weights":
            # TensorFlow's own gradient is wrong where the wanted probabilities do not sum to 1.
            weighted = smoothed * constant(spec.class_weights, logits)
            return -ops.sum(weighted * ops.log_softmax(logits, axis=-1), axis=-1)
        return ops.categorical_crossentropy(smoothed, logits, from_logits=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.spec.fields()}


def build(spec: Spec) -> Callable[..., Any]:
    if spec == Spec(ignore_index=spec.ignore_index):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=spec.ignore_index)
    return CrossEntropy(**spec.fields())


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
