"""Inception v3. See core/architectures/inception_v3.py."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ...core.architectures.inception_v3 import InceptionV3 as Spec
from ...core.techniques.dropout import Dropout
from ..techniques import dropout
from .inception import Transform
from .inception_module import ConvNorm


class InceptionV3(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        c = spec.scaled
        self.transform = Transform() if spec.transform_input else nn.Identity()
        self.conv1a = _unit(spec, spec.in_channels, c(32), 3, stride=2)
        self.conv2a = _unit(spec, c(32), c(32), 3)
        self.conv2b = _unit(spec, c(32), c(64), 3, margin=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.conv3b = _unit(spec, c(64), c(80), 1)
        self.conv4a = _unit(spec, c(80), c(192), 3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.mixed5, channels = nn.Sequential(), c(192)
        for pool in spec.pool_channels:
            self.mixed5.append(ModuleA(spec, channels, c(pool)))
            channels = 2 * c(64) + c(96) + c(pool)
        self.mixed6 = nn.Sequential(ReductionA(spec, channels))
        channels += c(384) + c(96)
        for inner in spec.channels_7x7:
            self.mixed6.append(ModuleB(spec, channels, c(inner)))
            channels = 4 * c(192)
        self.aux = AuxHead(spec, channels) if spec.aux_head else None
        self.mixed7 = nn.Sequential(ReductionB(spec, channels))
        channels += c(320) + c(192)
        for _ in range(spec.num_last):
            self.mixed7.append(ModuleC(spec, channels))
            channels = spec.num_features
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate)) if spec.num_classes else nn.Identity()
        self.fc = nn.Linear(channels, spec.num_classes) if spec.num_classes else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        x = self.conv2b(self.conv2a(self.conv1a(self.transform(image))))
        x = self.conv4a(self.conv3b(self.maxpool1(x)))
        x = self.mixed6(self.mixed5(self.maxpool2(x)))
        aux = None if self.aux is None else self.aux(x)
        x = self.mixed7(x)
        x = self.avgpool(x)  # (batch, channels, height, width) -> (batch, channels)
        x = self.fc(self.dropout(x))
        return x if aux is None else (x, aux)


class ModuleA(nn.Module):
    """Figure 5."""

    def __init__(self, spec: Spec, inputs: int, pool: int) -> None:
        super().__init__()
        c = spec.scaled
        self.branch1x1 = _unit(spec, inputs, c(64), 1)
        self.branch5x5_1 = _unit(spec, inputs, c(48), 1)
        self.branch5x5_2 = _unit(spec, c(48), c(64), 5, margin=2)
        self.branch3x3dbl_1 = _unit(spec, inputs, c(64), 1)
        self.branch3x3dbl_2 = _unit(spec, c(64), c(96), 3, margin=1)
        self.branch3x3dbl_3 = _unit(spec, c(96), c(96), 3, margin=1)
        self.pool = average_pool(spec)
        self.branch_pool = _unit(spec, inputs, pool, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(self.pool(x))], dim=1)


class ReductionA(nn.Module):
    """Figure 10, from the first image size to the second."""

    def __init__(self, spec: Spec, inputs: int) -> None:
        super().__init__()
        c = spec.scaled
        self.branch3x3 = _unit(spec, inputs, c(384), 3, stride=2)
        self.branch3x3dbl_1 = _unit(spec, inputs, c(64), 1)
        self.branch3x3dbl_2 = _unit(spec, c(64), c(96), 3, margin=1)
        self.branch3x3dbl_3 = _unit(spec, c(96), c(96), 3, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, self.pool(x)], dim=1)


class ModuleB(nn.Module):
    """Figure 6, with n = 7."""

    def __init__(self, spec: Spec, inputs: int, inner: int) -> None:
        super().__init__()
        outer = spec.scaled(192)
        self.branch1x1 = _unit(spec, inputs, outer, 1)
        self.branch7x7_1 = _unit(spec, inputs, inner, 1)
        self.branch7x7_2 = _unit(spec, inner, inner, (1, 7), margin=(0, 3))
        self.branch7x7_3 = _unit(spec, inner, outer, (7, 1), margin=(3, 0))
        self.branch7x7dbl_1 = _unit(spec, inputs, inner, 1)
        self.branch7x7dbl_2 = _unit(spec, inner, inner, (7, 1), margin=(3, 0))
        self.branch7x7dbl_3 = _unit(spec, inner, inner, (1, 7), margin=(0, 3))
        self.branch7x7dbl_4 = _unit(spec, inner, inner, (7, 1), margin=(3, 0))
        self.branch7x7dbl_5 = _unit(spec, inner, outer, (1, 7), margin=(0, 3))
        self.pool = average_pool(spec)
        self.branch_pool = _unit(spec, inputs, outer, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(self.pool(x))], dim=1)


class ReductionB(nn.Module):
    """The like of figure 10, from the second image size to the third."""

    def __init__(self, spec: Spec, inputs: int) -> None:
        super().__init__()
        outer = spec.scaled(192)
        self.branch3x3_1 = _unit(spec, inputs, outer, 1)
        self.branch3x3_2 = _unit(spec, outer, spec.scaled(320), 3, stride=2)
        self.branch7x7x3_1 = _unit(spec, inputs, outer, 1)
        self.branch7x7x3_2 = _unit(spec, outer, outer, (1, 7), margin=(0, 3))
        self.branch7x7x3_3 = _unit(spec, outer, outer, (7, 1), margin=(3, 0))
        self.branch7x7x3_4 = _unit(spec, outer, outer, 3, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single = self.branch3x3_2(self.branch3x3_1(x))
        double = self.branch7x7x3_2(self.branch7x7x3_1(x))
        double = self.branch7x7x3_4(self.branch7x7x3_3(double))
        return torch.cat([single, double, self.pool(x)], dim=1)


class ModuleC(nn.Module):
    """Figure 7: the convolutions of a branch stand side by side at its end."""

    def __init__(self, spec: Spec, inputs: int) -> None:
        super().__init__()
        c = spec.scaled
        self.branch1x1 = _unit(spec, inputs, c(320), 1)
        self.branch3x3_1 = _unit(spec, inputs, c(384), 1)
        self.branch3x3_2a = _unit(spec, c(384), c(384), (1, 3), margin=(0, 1))
        self.branch3x3_2b = _unit(spec, c(384), c(384), (3, 1), margin=(1, 0))
        self.branch3x3dbl_1 = _unit(spec, inputs, c(448), 1)
        self.branch3x3dbl_2 = _unit(spec, c(448), c(384), 3, margin=1)
        self.branch3x3dbl_3a = _unit(spec, c(384), c(384), (1, 3), margin=(0, 1))
        self.branch3x3dbl_3b = _unit(spec, c(384), c(384), (3, 1), margin=(1, 0))
        self.pool = average_pool(spec)
        self.branch_pool = _unit(spec, inputs, c(192), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        branches += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(self.pool(x))]
        return torch.cat(branches, dim=1)


class AuxHead(nn.Module):
    """Figure 8."""

    def __init__(self, spec: Spec, inputs: int) -> None:
        super().__init__()
        c = spec.scaled
        self.pool = nn.AvgPool2d(spec.aux_pool[0], stride=spec.aux_pool[1])
        self.conv0 = _unit(spec, inputs, c(128), 1)
        self.conv1 = _unit(spec, c(128), c(768), spec.aux_size)
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(c(768), spec.num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(self.conv0(self.pool(x)))
        return self.fc(self.avgpool(x))  # (batch, channels, height, width) -> (batch, channels)


def _unit(spec: Spec, inputs: int, outputs: int, size: int | tuple[int, int], **options: Any) -> ConvNorm:
    return ConvNorm(spec.normalisation, inputs, outputs, size, **options)


def average_pool(spec: Spec) -> nn.AvgPool2d:
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=spec.pool_counts_padding)


def build(spec: Spec) -> InceptionV3:
    return InceptionV3(spec)
