"""Spatial attention. See core/architectures/spatial_attention.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...core.architectures.spatial_attention import SpatialAttention as Spec
from ..convolution import Conv2D
from ..model import SpecModel


@keras.saving.register_keras_serializable("diglot")
class SpatialAttention(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.conv = Conv2D(1, spec.kernel_size, margin=spec.kernel_size // 2, use_bias=spec.bias)

    def call(self, image: Any, training: bool = False) -> Any:
        mean = ops.mean(image, axis=-1, keepdims=True)  # (batch, height, width, 1)
        maximum = ops.max(image, axis=-1, keepdims=True)
        maps = ops.concatenate([mean, maximum], axis=-1)  # (batch, height, width, 2)
        return image * ops.sigmoid(self.conv(maps))  # one weight for each position


def build(spec: Spec) -> SpatialAttention:
    return SpatialAttention(spec)
