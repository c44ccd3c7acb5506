"""Inception v3. See core/architectures/inception_v3.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.inception_v3 import InceptionV3 as Spec
from ...core.techniques.dropout import Dropout
from ..convolution import AveragePooling2D
from ..model import SpecModel
from ..techniques import dropout
from .inception import Transform
from .inception_module import ConvNorm


@keras.saving.register_keras_serializable("diglot")
class InceptionV3(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        c = spec.scaled
        self.transform = Transform() if spec.transform_input else layers.Identity()
        self.conv1a = _unit(spec, c(32), 3, stride=2)
        self.conv2a = _unit(spec, c(32), 3)
        self.conv2b = _unit(spec, c(64), 3, margin=1)
        self.maxpool1 = layers.MaxPooling2D(3, strides=2)
        self.conv3b = _unit(spec, c(80), 1)
        self.conv4a = _unit(spec, c(192), 3)
        self.maxpool2 = layers.MaxPooling2D(3, strides=2)
        self.mixed5 = [ModuleA(spec, c(pool)) for pool in spec.pool_channels]
        self.mixed6 = [ReductionA(spec), *(ModuleB(spec, c(inner)) for inner in spec.channels_7x7)]
        self.aux = AuxHead(spec) if spec.aux_head else None
        self.mixed7 = [ReductionB(spec), *(ModuleC(spec) for _ in range(spec.num_last))]
        self.avgpool = layers.GlobalAveragePooling2D()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate)) if spec.num_classes else layers.Identity()
        self.fc = layers.Dense(spec.num_classes) if spec.num_classes else layers.Identity()

    def call(self, image: Any, training: bool = False) -> Any:
        # Keras hands `training` on to the layers within, so that only the outermost call has to name it.
        x = self.conv2b(self.conv2a(self.conv1a(self.transform(image))))
        x = self.conv4a(self.conv3b(self.maxpool1(x)))
        x = self.maxpool2(x)
        for module in (*self.mixed5, *self.mixed6):
            x = module(x)
        aux = None if self.aux is None else self.aux(x)
        for module in self.mixed7:
            x = module(x)
        x = self.avgpool(x)  # (batch, height, width, channels) -> (batch, channels)
        x = self.fc(self.dropout(x))
        return x if aux is None else (x, aux)


class ModuleA(layers.Layer):
    """Figure 5."""

    def __init__(self, spec: Spec, pool: int) -> None:
        super().__init__()
        c = spec.scaled
        self.branch1x1 = _unit(spec, c(64), 1)
        self.branch5x5_1 = _unit(spec, c(48), 1)
        self.branch5x5_2 = _unit(spec, c(64), 5, margin=2)
        self.branch3x3dbl_1 = _unit(spec, c(64), 1)
        self.branch3x3dbl_2 = _unit(spec, c(96), 3, margin=1)
        self.branch3x3dbl_3 = _unit(spec, c(96), 3, margin=1)
        self.pool = average_pool(spec)
        self.branch_pool = _unit(spec, pool, 1)

    def call(self, x: Any, training: bool = False) -> Any:
        single = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return ops.concatenate([self.branch1x1(x), single, double, self.branch_pool(self.pool(x))], axis=-1)


class ReductionA(layers.Layer):
    """Figure 10, from the first image size to the second."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        c = spec.scaled
        self.branch3x3 = _unit(spec, c(384), 3, stride=2)
        self.branch3x3dbl_1 = _unit(spec, c(64), 1)
        self.branch3x3dbl_2 = _unit(spec, c(96), 3, margin=1)
        self.branch3x3dbl_3 = _unit(spec, c(96), 3, stride=2)
        self.pool = layers.MaxPooling2D(3, strides=2)

    def call(self, x: Any, training: bool = False) -> Any:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return ops.concatenate([self.branch3x3(x), double, self.pool(x)], axis=-1)


class ModuleB(layers.Layer):
    """Figure 6, with n = 7."""

    def __init__(self, spec: Spec, inner: int) -> None:
        super().__init__()
        outer = spec.scaled(192)
        self.branch1x1 = _unit(spec, outer, 1)
        self.branch7x7_1 = _unit(spec, inner, 1)
        self.branch7x7_2 = _unit(spec, inner, (1, 7), margin=(0, 3))
        self.branch7x7_3 = _unit(spec, outer, (7, 1), margin=(3, 0))
        self.branch7x7dbl_1 = _unit(spec, inner, 1)
        self.branch7x7dbl_2 = _unit(spec, inner, (7, 1), margin=(3, 0))
        self.branch7x7dbl_3 = _unit(spec, inner, (1, 7), margin=(0, 3))
        self.branch7x7dbl_4 = _unit(spec, inner, (7, 1), margin=(3, 0))
        self.branch7x7dbl_5 = _unit(spec, outer, (1, 7), margin=(0, 3))
        self.pool = average_pool(spec)
        self.branch_pool = _unit(spec, outer, 1)

    def call(self, x: Any, training: bool = False) -> Any:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return ops.concatenate([self.branch1x1(x), single, double, self.branch_pool(self.pool(x))], axis=-1)


class ReductionB(layers.Layer):
    """The like of figure 10, from the second image size to the third."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        outer = spec.scaled(192)
        self.branch3x3_1 = _unit(spec, outer, 1)
        self.branch3x3_2 = _unit(spec, spec.scaled(320), 3, stride=2)
        self.branch7x7x3_1 = _unit(spec, outer, 1)
        self.branch7x7x3_2 = _unit(spec, outer, (1, 7), margin=(0, 3))
        self.branch7x7x3_3 = _unit(spec, outer, (7, 1), margin=(3, 0))
        self.branch7x7x3_4 = _unit(spec, outer, 3, stride=2)
        self.pool = layers.MaxPooling2D(3, strides=2)

    def call(self, x: Any, training: bool = False) -> Any:
        single = self.branch3x3_2(self.branch3x3_1(x))
        double = self.branch7x7x3_2(self.branch7x7x3_1(x))
        double = self.branch7x7x3_4(self.branch7x7x3_3(double))
        return ops.concatenate([single, double, self.pool(x)], axis=-1)


class ModuleC(layers.Layer):
    """Figure 7: the convolutions of a branch stand side by side at its end."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        c = spec.scaled
        self.branch1x1 = _unit(spec, c(320), 1)
        self.branch3x3_1 = _unit(spec, c(384), 1)
        self.branch3x3_2a = _unit(spec, c(384), (1, 3), margin=(0, 1))
        self.branch3x3_2b = _unit(spec, c(384), (3, 1), margin=(1, 0))
        self.branch3x3dbl_1 = _unit(spec, c(448), 1)
        self.branch3x3dbl_2 = _unit(spec, c(384), 3, margin=1)
        self.branch3x3dbl_3a = _unit(spec, c(384), (1, 3), margin=(0, 1))
        self.branch3x3dbl_3b = _unit(spec, c(384), (3, 1), margin=(1, 0))
        self.pool = average_pool(spec)
        self.branch_pool = _unit(spec, c(192), 1)

    def call(self, x: Any, training: bool = False) -> Any:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        branches += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(self.pool(x))]
        return ops.concatenate(branches, axis=-1)


class AuxHead(layers.Layer):
    """Figure 8."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        c = spec.scaled
        self.pool = layers.AveragePooling2D(spec.aux_pool[0], strides=spec.aux_pool[1])
        self.conv0 = _unit(spec, c(128), 1)
        self.conv1 = _unit(spec, c(768), spec.aux_size)
        self.avgpool = layers.GlobalAveragePooling2D()
        self.fc = layers.Dense(spec.num_classes)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.conv1(self.conv0(self.pool(x)))
        return self.fc(self.avgpool(x))  # (batch, height, width, channels) -> (batch, channels)


def _unit(spec: Spec, outputs: int, size: int | tuple[int, int], **options: Any) -> ConvNorm:
    return ConvNorm(spec.normalisation, outputs, size, **options)


def average_pool(spec: Spec) -> layers.AveragePooling2D:
    if spec.pool_counts_padding:
        return AveragePooling2D(3, strides=1, margin=1)
    return layers.AveragePooling2D(3, strides=1, padding="same")


def build(spec: Spec) -> InceptionV3:
    return InceptionV3(spec)
