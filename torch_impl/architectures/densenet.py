"""The densely connected network. See core/architectures/densenet.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.densenet import DenseNet as Spec
from .dense_block import DenseBlock, norm


class DenseNet(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        channels = spec.stem_channels
        if spec.stem == "imagenet":
            self.stem_conv = nn.Conv2d(spec.in_channels, channels, 7, stride=2, padding=3, bias=False)
            self.stem_norm = norm(spec, channels)
            self.stem_pool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.stem_conv = nn.Conv2d(spec.in_channels, channels, 3, padding=1, bias=False)
        blocks = spec.blocks()
        self.blocks = nn.ModuleList([DenseBlock(block) for block in blocks])
        self.transitions = nn.ModuleList(
            [Transition(spec, block.out_channels, spec.compressed(block)) for block in blocks[:-1]]
        )
        self.norm = norm(spec, spec.num_features)
        self.average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(spec.num_features, spec.num_classes) if spec.num_classes else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.stem_conv(image)
        if self.spec.stem == "imagenet":
            x = self.stem_pool(F.relu(self.stem_norm(x), inplace=True))
        for block, transition in zip(self.blocks, self.transitions, strict=False):
            x = transition(block(x))
        x = self.blocks[-1](x)
        x = F.relu(self.norm(x), inplace=True)
        x = self.average(x)  # (batch, channels, height, width) -> (batch, channels)
        return self.head(x)


class Transition(nn.Module):
    def __init__(self, spec: Spec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = norm(spec, inputs)
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pool = nn.AvgPool2d(2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.conv(F.relu(self.norm(x), inplace=True)))


def build(spec: Spec) -> DenseNet:
    return DenseNet(spec)
