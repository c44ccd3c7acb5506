"""The residual block. See core/architectures/residual_block.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.residual_block import ResidualBlock as Spec
from ...core.architectures.residual_block import attention_spec
from ...core.architectures.spatial_attention import SpatialAttention as SpatialSpec
from ...core.techniques.batch_norm import BatchNorm
from ..techniques import batch_norm
from .spatial_attention import SpatialAttention
from .squeeze_excitation import SqueezeExcitation


class ResidualBlock(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        if spec.block == "basic":
            self.conv1 = conv(spec, spec.in_channels, spec.out_channels, 3, stride=spec.stride)
            self.conv2 = conv(spec, spec.out_channels, spec.out_channels, 3)
        else:
            first, second = (spec.stride, 1) if spec.stride_on == "conv1" else (1, spec.stride)
            self.conv1 = conv(spec, spec.in_channels, spec.inner, 1, stride=first)
            self.conv2 = conv(spec, spec.inner, spec.inner, 3, stride=second)
            self.conv3 = conv(spec, spec.inner, spec.out_channels, 1)
            self.bn3 = norm(spec, spec.out_channels)
        self.bn1 = norm(spec, spec.inner)
        self.bn2 = norm(spec, spec.inner)
        if spec.attention != "none":
            self.attention = attention(spec.attention, spec.out_channels, spec.reduction)
        self.shortcut = Projection(spec) if spec.projects else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(image)), inplace=True)
        x = self.bn2(self.conv2(x))
        if self.spec.block == "bottleneck":
            x = self.bn3(self.conv3(F.relu(x, inplace=True)))
        if self.spec.attention != "none":
            x = self.attention(x)
        return F.relu(x + self.shortcut(image), inplace=True)


class Projection(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.conv = conv(spec, spec.in_channels, spec.out_channels, 1, stride=spec.stride)
        self.bn = norm(spec, spec.out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x))


class CBAM(nn.Module):
    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.channel = SqueezeExcitation(attention_spec("cbam", channels, reduction))
        self.spatial = SpatialAttention(SpatialSpec(channels=channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.spatial(self.channel(x))


def attention(kind: str, channels: int, reduction: int) -> nn.Module:
    if kind == "cbam":
        return CBAM(channels, reduction)
    return SqueezeExcitation(attention_spec(kind, channels, reduction))


def conv(spec: Spec, inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=spec.conv_bias)


def norm(spec: Spec, channels: int) -> nn.Module:
    rule = BatchNorm(epsilon=spec.norm_epsilon, momentum=spec.norm_momentum, running_variance=spec.running_variance)
    return batch_norm.build(rule, channels)


def build(spec: Spec) -> ResidualBlock:
    return ResidualBlock(spec)
