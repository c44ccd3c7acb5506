"""The focal loss. See core/techniques/focal.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.focal import Focal as Spec
from ..exact import constant
from ..losses import same_shape, trace_loss


@keras.saving.register_keras_serializable("diglot")
class Focal(keras.losses.Loss):
    """The focal loss, on logits."""

    def __init__(self, form: str, alpha: float | None, gamma: float, name: str = "focal", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.form, self.alpha, self.gamma = form, alpha, gamma

    def call(self, targets: Any, logits: Any) -> Any:
        if self.form == "softmax":
            return self.of_classes(logits, targets)
        same_shape("focal", logits, targets)
        losses = self.focused((2 * targets - 1) * logits)
        if self.alpha is not None:
            alpha = constant(self.alpha, logits)
            losses = losses * (alpha * targets + (1 - alpha) * (1 - targets))
        return losses

    def of_classes(self, logits: Any, targets: Any) -> Any:
        target = ops.one_hot(ops.cast(targets, "int64"), logits.shape[-1], dtype="bool")  # (batch, ..., channels)
        own = ops.sum(ops.where(target, logits, ops.zeros_like(logits)), axis=-1)  # (batch, ...)
        others = ops.logsumexp(ops.where(target, constant(-np.inf, logits), logits), axis=-1)
        losses = self.focused(own - others)
        return losses if self.alpha is None else constant(self.alpha, logits) * losses

    def focused(self, margins: Any) -> Any:
        # p_t is the sigmoid of the margin, and 1 - p_t that of its negative.
        return -ops.exp(constant(self.gamma, margins) * ops.log_sigmoid(-margins)) * ops.log_sigmoid(margins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "form": self.form, "alpha": self.alpha, "gamma": self.gamma}


def build(spec: Spec) -> Callable[..., Any]:
    return Focal(spec.form, spec.alpha, spec.gamma)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
