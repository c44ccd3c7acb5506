"""The densely connected network. See core/architectures/densenet.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.densenet import DenseNet as Spec
from ..convolution import Conv2D, MaxPooling2D
from ..model import SpecModel
from .dense_block import DenseBlock, norm


@keras.saving.register_keras_serializable("diglot")
class DenseNet(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        channels = spec.stem_channels
        if spec.stem == "imagenet":
            self.stem_conv = Conv2D(channels, 7, strides=2, margin=3, use_bias=False)
            self.stem_norm = norm(spec, channels)
            self.stem_pool = MaxPooling2D(3, strides=2, margin=1)
        else:
            self.stem_conv = Conv2D(channels, 3, margin=1, use_bias=False)
        blocks = spec.blocks()
        self.blocks = [DenseBlock(block) for block in blocks]
        self.transitions = [Transition(spec, block.out_channels, spec.compressed(block)) for block in blocks[:-1]]
        self.norm = norm(spec, spec.num_features)
        self.average = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(spec.num_classes) if spec.num_classes else layers.Identity()

    def call(self, image: Any, training: bool = False) -> Any:
        x = self.stem_conv(image)
        if self.spec.stem == "imagenet":
            x = self.stem_pool(ops.relu(self.stem_norm(x, training=training)))
        for block, transition in zip(self.blocks, self.transitions, strict=False):
            x = transition(block(x, training=training), training=training)
        x = self.blocks[-1](x, training=training)
        x = ops.relu(self.norm(x, training=training))
        x = self.average(x)  # (batch, height, width, channels) -> (batch, channels)
        return self.head(x)


class Transition(layers.Layer):
    def __init__(self, spec: Spec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = norm(spec, inputs)
        self.conv = Conv2D(outputs, 1, use_bias=False)
        self.pool = layers.AveragePooling2D(2, strides=2)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.pool(self.conv(ops.relu(self.norm(x, training=training))))


def build(spec: Spec) -> DenseNet:
    return DenseNet(spec)
