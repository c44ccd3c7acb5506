"""The Kullback-Leibler divergence. See core/techniques/kl_divergence.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.kl_divergence import KLDivergence as Spec
from ..losses import same_shape, trace_loss


@keras.saving.register_keras_serializable("diglot")
class KLDivergence(keras.losses.Loss):
    """`keras.losses.KLDivergence` of log-probabilities, with nothing cut."""

    def __init__(self, log_targets: bool, divide_by: str, name: str = "kl_divergence", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.log_targets, self.divide_by = log_targets, divide_by

    def call(self, targets: Any, outputs: Any) -> Any:
        same_shape("kl_divergence", outputs, targets)
        p = ops.exp(targets) if self.log_targets else targets
        entropies = p * targets if self.log_targets else tf.math.xlogy(p, p)
        losses = ops.sum(entropies - p * outputs, axis=-1)  # (batch, ...)
        if self.divide_by == "batch":
            losses = ops.sum(losses, axis=tuple(range(1, len(losses.shape))))
        return losses

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "log_targets": self.log_targets, "divide_by": self.divide_by}


def build(spec: Spec) -> Callable[..., Any]:
    return KLDivergence(spec.log_targets, spec.reduction)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
