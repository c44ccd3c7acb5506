"""The residual network. See core/architectures/resnet.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.resnet import ResNet as Spec
from ...core.techniques.dropout import Dropout
from ..convolution import Conv2D, MaxPooling2D
from ..model import SpecModel
from ..techniques import dropout
from .residual_block import ResidualBlock, attention, norm


@keras.saving.register_keras_serializable("diglot")
class ResNet(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        if spec.stem == "imagenet":
            self.conv1 = Conv2D(spec.width, 7, strides=2, margin=3, use_bias=spec.conv_bias)
            self.maxpool = MaxPooling2D(3, strides=2, margin=1)
        else:
            self.conv1 = Conv2D(spec.width, 3, margin=1, use_bias=spec.conv_bias)
            self.maxpool = layers.Identity()
        self.bn1 = norm(spec, spec.width)
        self.layer1 = stage(spec, 0)
        self.layer2 = stage(spec, 1)
        self.layer3 = stage(spec, 2)
        self.layer4 = stage(spec, 3)
        if spec.attention_at_end:
            self.attention = attention(spec.attention, spec.num_features, spec.reduction)
        self.avgpool = layers.GlobalAveragePooling2D()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate)) if spec.num_classes else layers.Identity()
        self.fc = layers.Dense(spec.num_classes) if spec.num_classes else layers.Identity()

    def call(self, image: Any, training: bool = False) -> Any:
        x = ops.relu(self.bn1(self.conv1(image), training=training))
        x = self.maxpool(x)
        for block in (*self.layer1, *self.layer2, *self.layer3, *self.layer4):
            x = block(x, training=training)
        if self.spec.attention_at_end:
            x = self.attention(x)
        x = self.avgpool(x)  # (batch, height, width, channels) -> (batch, channels)
        return self.fc(self.dropout(x, training=training))


def stage(spec: Spec, number: int) -> list[ResidualBlock]:
    return [ResidualBlock(spec.block_spec(number, index)) for index in range(spec.num_blocks[number])]


def build(spec: Spec) -> ResNet:
    return ResNet(spec)
