"""The mean squared error. See core/techniques/mean_squared_error.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ...core.technique import Arrays
from ...core.techniques.mean_squared_error import MeanSquaredError as Spec
from ..losses import same_shape, trace_loss


@keras.saving.register_keras_serializable("diglot")
class MeanSquaredError(keras.losses.MeanSquaredError):
    """`keras.losses.MeanSquaredError` that squeezes nothing."""

    def call(self, targets: Any, outputs: Any) -> Any:
        same_shape("mean_squared_error", outputs, targets)
        return super().call(targets, outputs)


def build(spec: Spec) -> Callable[..., Any]:
    return MeanSquaredError()


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
