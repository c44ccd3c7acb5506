"""The residual network. See core/architectures/resnet.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.resnet import ResNet as Spec
from ...core.techniques.batch_norm import BatchNorm
from ..convolution import Conv2D, MaxPooling2D
from ..model import SpecModel
from ..techniques import batch_norm


@keras.saving.register_keras_serializable("diglot")
class ResNet(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        width = spec.width
        if spec.stem == "imagenet":
            self.conv1 = Conv2D(width, 7, strides=2, margin=3, use_bias=False)
            self.maxpool = MaxPooling2D(3, strides=2, margin=1)
        else:
            self.conv1 = Conv2D(width, 3, margin=1, use_bias=False)
            self.maxpool = layers.Identity()
        self.bn1 = norm(spec, width)
        self.layer1 = stage(spec, width, width, spec.num_blocks[0], stride=1)
        self.layer2 = stage(spec, width, 2 * width, spec.num_blocks[1], stride=2)
        self.layer3 = stage(spec, 2 * width, 4 * width, spec.num_blocks[2], stride=2)
        self.layer4 = stage(spec, 4 * width, 8 * width, spec.num_blocks[3], stride=2)
        self.avgpool = layers.GlobalAveragePooling2D()
        self.fc = layers.Dense(spec.num_classes)

    def call(self, image: Any, training: bool = False) -> Any:
        x = ops.relu(self.bn1(self.conv1(image), training=training))
        x = self.maxpool(x)
        for block in (*self.layer1, *self.layer2, *self.layer3, *self.layer4):
            x = block(x, training=training)
        x = self.avgpool(x)  # (batch, height, width, channels) -> (batch, channels)
        return self.fc(x)


class BasicBlock(layers.Layer):
    def __init__(self, spec: Spec, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv2D(outputs, 3, strides=stride, margin=1, use_bias=False)
        self.bn1 = norm(spec, outputs)
        self.conv2 = Conv2D(outputs, 3, margin=1, use_bias=False)
        self.bn2 = norm(spec, outputs)
        self.shortcut = Projection(spec, inputs, outputs, stride) if inputs != outputs else layers.Identity()

    def call(self, x: Any, training: bool = False) -> Any:
        residual = ops.relu(self.bn1(self.conv1(x), training=training))
        residual = self.bn2(self.conv2(residual), training=training)
        return ops.relu(residual + self.shortcut(x, training=training))


class Projection(layers.Layer):
    def __init__(self, spec: Spec, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = Conv2D(outputs, 1, strides=stride, use_bias=False)
        self.bn = norm(spec, outputs)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.bn(self.conv(x), training=training)


def stage(spec: Spec, inputs: int, outputs: int, count: int, stride: int) -> list[BasicBlock]:
    blocks = [BasicBlock(spec, inputs, outputs, stride)]
    blocks += [BasicBlock(spec, outputs, outputs, 1) for _ in range(count - 1)]
    return blocks


def norm(spec: Spec, channels: int) -> layers.Layer:
    rule = BatchNorm(epsilon=spec.norm_epsilon, momentum=spec.norm_momentum, running_variance=spec.running_variance)
    return batch_norm.build(rule, channels)


def build(spec: Spec) -> ResNet:
    return ResNet(spec)
