"""The share of right classes, for targets of every form that the losses take."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..core.epochs import ACCURACY


@keras.saving.register_keras_serializable("diglot")
class Accuracy(keras.metrics.Metric):
    """The share of samples whose class is the largest output. Mixed targets count as the class that weighs most."""

    def __init__(self, ignored: int | None = None, name: str = ACCURACY, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.ignored = ignored
        self.right = self.add_variable((), "zeros", name="right")
        self.counted = self.add_variable((), "zeros", name="counted")

    def update_state(self, targets: Any, outputs: Any, sample_weight: Any = None) -> None:
        classes = ops.argmax(targets, -1) if len(targets.shape) == len(outputs.shape) else targets
        guess = ops.cast(ops.argmax(outputs, -1), "int64")
        classes = ops.cast(classes, "int64")
        valid = ops.ones_like(classes) if self.ignored is None else ops.cast(classes != self.ignored, "int64")
        self.right.assign_add(ops.cast(ops.sum(ops.cast(guess == classes, "int64") * valid), self.right.dtype))
        self.counted.assign_add(ops.cast(ops.sum(valid), self.counted.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ignored": self.ignored}

    def result(self) -> Any:
        return self.right / ops.maximum(self.counted, 1)
