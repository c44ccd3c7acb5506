"""The Inception module. See core/architectures/inception_module.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.inception_module import InceptionModule as Spec
from ...core.techniques.batch_norm import BatchNorm
from ..convolution import Conv2D
from ..model import SpecModel
from ..techniques import batch_norm


@keras.saving.register_keras_serializable("diglot")
class InceptionModule(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        norm = spec.normalisation
        size = spec.branch3_size
        self.branch1 = ConvNorm(norm, spec.channels_1x1, 1)
        self.branch2 = [
            ConvNorm(norm, spec.reduce_3x3, 1),
            ConvNorm(norm, spec.channels_3x3, 3, margin=1),
        ]
        self.branch3 = [
            ConvNorm(norm, spec.reduce_5x5, 1),
            ConvNorm(norm, spec.channels_5x5, size, margin=size // 2),
        ]
        self.branch4 = [
            layers.MaxPooling2D(3, strides=1, padding="same"),
            ConvNorm(norm, spec.channels_pool, 1),
        ]

    def call(self, image: Any, training: bool = False) -> Any:
        branches = []
        for branch in ([self.branch1], self.branch2, self.branch3, self.branch4):
            x = image
            for layer in branch:
                x = layer(x, training=training)
            branches.append(x)
        return ops.concatenate(branches, axis=-1)


class ConvNorm(layers.Layer):
    def __init__(
        self,
        norm: BatchNorm,
        outputs: int,
        size: int | tuple[int, int],
        *,
        stride: int = 1,
        margin: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = Conv2D(outputs, size, strides=stride, margin=margin, use_bias=False)
        self.bn = batch_norm.build(norm, outputs)

    def call(self, x: Any, training: bool = False) -> Any:
        return ops.relu(self.bn(self.conv(x), training=training))


def build(spec: Spec) -> InceptionModule:
    return InceptionModule(spec)
