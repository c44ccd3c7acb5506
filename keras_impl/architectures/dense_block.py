"""The dense block. See core/architectures/dense_block.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.dense_block import DenseBlock as Spec
from ...core.techniques.batch_norm import BatchNorm
from ...core.techniques.dropout import Dropout
from ..convolution import Conv2D
from ..model import SpecModel
from ..recompute import recomputed
from ..techniques import batch_norm, dropout


@keras.saving.register_keras_serializable("diglot")
class DenseBlock(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.dense_layers = [DenseLayer(spec, layer) for layer in range(spec.num_layers)]
        rule = Dropout(rate=spec.dropout_rate)
        self.dropouts = [dropout.build(rule, image=True) for _ in range(spec.num_layers)]

    def call(self, image: Any, training: bool = False) -> Any:
        features = [image]
        for layer, drop in zip(self.dense_layers, self.dropouts, strict=True):

            def grow(*parts: Any, layer: Any = layer) -> Any:
                return layer(ops.concatenate(parts, axis=-1), training=training)

            again = self.spec.recompute and training
            added = recomputed(grow, features) if again else grow(*features)
            features.append(drop(added, training=training))
        return ops.concatenate(features, axis=-1)


class DenseLayer(layers.Layer):
    def __init__(self, spec: Spec, layer: int) -> None:
        super().__init__()
        inputs, growth = spec.channels(layer), spec.growth_rate
        width = spec.bottleneck * growth or inputs
        self.bottleneck = spec.bottleneck > 0
        if self.bottleneck:
            self.norm1 = norm(spec, inputs)
            self.conv1 = Conv2D(width, 1, use_bias=False)
        self.norm2 = norm(spec, width)
        self.conv2 = Conv2D(growth, 3, margin=1, use_bias=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if self.bottleneck:
            x = self.conv1(ops.relu(self.norm1(x, training=training)))
        return self.conv2(ops.relu(self.norm2(x, training=training)))


def norm(spec: Spec, channels: int) -> layers.Layer:
    rule = BatchNorm(epsilon=spec.norm_epsilon, momentum=spec.norm_momentum, running_variance=spec.running_variance)
    return batch_norm.build(rule, channels)


def build(spec: Spec) -> DenseBlock:
    return DenseBlock(spec)
