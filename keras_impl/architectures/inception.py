"""GoogLeNet. See core/architectures/inception.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.inception import AUX, AUX_GRID, STEM, TRANSFORM_SCALE, TRANSFORM_SHIFT
from ...core.architectures.inception import Inception as Spec
from ...core.techniques.dropout import Dropout
from ..convolution import AdaptiveAveragePooling2D, MaxPooling2D
from ..model import SpecModel
from ..techniques import dropout
from .inception_module import ConvNorm, InceptionModule


@keras.saving.register_keras_serializable("diglot")
class Inception(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        norm = spec.normalisation
        stem = [spec.scaled(channels) for channels in STEM]
        self.transform = Transform() if spec.transform_input else layers.Identity()
        self.conv1 = ConvNorm(norm, stem[0], 7, stride=2, margin=3)
        self.maxpool1 = MaxPooling2D(3, strides=2, ceil_mode=spec.ceil_mode)
        self.conv2 = ConvNorm(norm, stem[1], 1)
        self.conv3 = ConvNorm(norm, stem[2], 3, margin=1)
        self.maxpool2 = MaxPooling2D(3, strides=2, ceil_mode=spec.ceil_mode)
        self.maxpool3 = MaxPooling2D(3, strides=2, ceil_mode=spec.ceil_mode)
        self.maxpool4 = MaxPooling2D(spec.last_pool_size, strides=2, ceil_mode=spec.ceil_mode)
        for name, module in spec.modules():
            setattr(self, name, InceptionModule(module))
            if name in spec.aux_names():
                setattr(self, spec.aux_names()[name], AuxHead(spec))
        self.avgpool = layers.GlobalAveragePooling2D()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate)) if spec.num_classes else layers.Identity()
        self.fc = layers.Dense(spec.num_classes) if spec.num_classes else layers.Identity()

    def call(self, image: Any, training: bool = False) -> Any:
        x = self.maxpool1(self.conv1(self.transform(image), training=training))
        x = self.maxpool2(self.conv3(self.conv2(x, training=training), training=training))
        aux = []
        for name, _ in self.spec.modules():
            if name == "inception4a":
                x = self.maxpool3(x)
            if name == "inception5a":
                x = self.maxpool4(x)
            x = getattr(self, name)(x, training=training)
            if name in self.spec.aux_names():
                aux.append(getattr(self, self.spec.aux_names()[name])(x, training=training))
        x = self.avgpool(x)  # (batch, height, width, channels) -> (batch, channels)
        x = self.fc(self.dropout(x, training=training))
        return (x, *aux) if aux else x


class AuxHead(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        channels, units = (spec.scaled(number) for number in AUX)
        self.pool = AdaptiveAveragePooling2D(AUX_GRID)
        self.conv = ConvNorm(spec.normalisation, channels, 1)
        self.flatten = layers.Flatten()
        self.fc1 = layers.Dense(units)
        self.dropout = dropout.build(Dropout(rate=spec.aux_dropout_rate))
        self.fc2 = layers.Dense(spec.num_classes)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.flatten(
            self.conv(self.pool(x), training=training)
        )  # (batch, height, width, channels) -> (batch, channels)
        return self.fc2(self.dropout(ops.relu(self.fc1(x)), training=training))


class Transform(layers.Layer):
    def call(self, x: Any) -> Any:
        scale, shift = (ops.convert_to_tensor(values, dtype=x.dtype) for values in (TRANSFORM_SCALE, TRANSFORM_SHIFT))
        return x * scale + shift


def build(spec: Spec) -> Inception:
    return Inception(spec)
