"""The dense block. See core/architectures/dense_block.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.dense_block import DenseBlock as Spec
from ...core.techniques.batch_norm import BatchNorm
from ...core.techniques.dropout import Dropout
from ..recompute import recomputed
from ..techniques import batch_norm, dropout


class DenseBlock(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.dense_layers = nn.ModuleList([DenseLayer(spec, layer) for layer in range(spec.num_layers)])
        rule = Dropout(rate=spec.dropout_rate)
        self.dropouts = nn.ModuleList([dropout.build(rule, image=True) for _ in range(spec.num_layers)])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = [image]
        for layer, drop in zip(self.dense_layers, self.dropouts, strict=True):

            def grow(*parts: torch.Tensor, layer: nn.Module = layer) -> torch.Tensor:
                return layer(torch.cat(parts, dim=1))

            again = self.spec.recompute and self.training
            added = recomputed(layer, grow, features) if again else grow(*features)
            features.append(drop(added))
        return torch.cat(features, dim=1)


class DenseLayer(nn.Module):
    def __init__(self, spec: Spec, layer: int) -> None:
        super().__init__()
        inputs, growth = spec.channels(layer), spec.growth_rate
        width = spec.bottleneck * growth or inputs
        self.bottleneck = spec.bottleneck > 0
        if self.bottleneck:
            self.norm1 = norm(spec, inputs)
            self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm2 = norm(spec, width)
        self.conv2 = nn.Conv2d(width, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.bottleneck:
            x = self.conv1(F.relu(self.norm1(x), inplace=True))
        return self.conv2(F.relu(self.norm2(x), inplace=True))


def norm(spec: Spec, channels: int) -> nn.Module:
    rule = BatchNorm(epsilon=spec.norm_epsilon, momentum=spec.norm_momentum, running_variance=spec.running_variance)
    return batch_norm.build(rule, channels)


def build(spec: Spec) -> DenseBlock:
    return DenseBlock(spec)
