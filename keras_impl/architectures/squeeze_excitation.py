"""Squeeze-and-excitation. See core/architectures/squeeze_excitation.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.squeeze_excitation import SqueezeExcitation as Spec
from ..model import SpecModel


@keras.saving.register_keras_serializable("diglot")
class SqueezeExcitation(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.squeeze = layers.GlobalAveragePooling2D()
        if spec.pooling == "average_and_maximum":
            self.squeeze_maximum = layers.GlobalMaxPooling2D()
        self.excitation = Excitation(spec)

    def call(self, image: Any, training: bool = False) -> Any:
        scores = self.excitation(self.squeeze(image))  # (batch, channels)
        if self.spec.pooling == "average_and_maximum":
            scores = scores + self.excitation(self.squeeze_maximum(image))
        return image * ops.sigmoid(scores)[:, None, None, :]  # one weight for each channel


class Excitation(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.reduce = layers.Dense(spec.channels // spec.reduction, use_bias=spec.bias)
        self.expand = layers.Dense(spec.channels, use_bias=spec.bias)

    def call(self, x: Any) -> Any:
        return self.expand(ops.relu(self.reduce(x)))


def build(spec: Spec) -> SqueezeExcitation:
    return SqueezeExcitation(spec)
