"""The Inception module. See core/architectures/inception_module.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.inception_module import InceptionModule as Spec
from ...core.techniques.batch_norm import BatchNorm
from ..techniques import batch_norm


class InceptionModule(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        norm, inputs = spec.normalisation, spec.in_channels
        size = spec.branch3_size
        self.branch1 = ConvNorm(norm, inputs, spec.channels_1x1, 1)
        self.branch2 = nn.Sequential(
            ConvNorm(norm, inputs, spec.reduce_3x3, 1),
            ConvNorm(norm, spec.reduce_3x3, spec.channels_3x3, 3, margin=1),
        )
        self.branch3 = nn.Sequential(
            ConvNorm(norm, inputs, spec.reduce_5x5, 1),
            ConvNorm(norm, spec.reduce_5x5, spec.channels_5x5, size, margin=size // 2),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            ConvNorm(norm, inputs, spec.channels_pool, 1),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        branches = [self.branch1(image), self.branch2(image), self.branch3(image), self.branch4(image)]
        return torch.cat(branches, dim=1)


class ConvNorm(nn.Module):
    def __init__(
        self,
        norm: BatchNorm,
        inputs: int,
        outputs: int,
        size: int | tuple[int, int],
        *,
        stride: int = 1,
        margin: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=margin, bias=False)
        self.bn = batch_norm.build(norm, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def build(spec: Spec) -> InceptionModule:
    return InceptionModule(spec)
