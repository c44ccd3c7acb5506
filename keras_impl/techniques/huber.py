"""The Huber loss. See core/techniques/huber.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ...core.technique import Arrays
from ...core.techniques.huber import Huber as Spec
from ..losses import same_shape, trace_loss


@keras.saving.register_keras_serializable("diglot")
class Huber(keras.losses.Huber):
    """`keras.losses.Huber` that squeezes nothing, and keeps its delta in a model's file."""

    def call(self, targets: Any, outputs: Any) -> Any:
        same_shape("huber", outputs, targets)
        return super().call(targets, outputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self._fn_kwargs["delta"]}


def build(spec: Spec) -> Callable[..., Any]:
    return Huber(delta=spec.delta)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
