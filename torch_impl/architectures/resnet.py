"""The residual network. See core/architectures/resnet.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.resnet import ResNet as Spec
from ...core.techniques.dropout import Dropout
from ..techniques import dropout
from .residual_block import ResidualBlock, attention, norm


class ResNet(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        if spec.stem == "imagenet":
            self.conv1 = nn.Conv2d(spec.in_channels, spec.width, 7, stride=2, padding=3, bias=spec.conv_bias)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = nn.Conv2d(spec.in_channels, spec.width, 3, padding=1, bias=spec.conv_bias)
            self.maxpool = nn.Identity()
        self.bn1 = norm(spec, spec.width)
        self.layer1 = stage(spec, 0)
        self.layer2 = stage(spec, 1)
        self.layer3 = stage(spec, 2)
        self.layer4 = stage(spec, 3)
        if spec.attention_at_end:
            self.attention = attention(spec.attention, spec.num_features, spec.reduction)
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate)) if spec.num_classes else nn.Identity()
        self.fc = nn.Linear(spec.num_features, spec.num_classes) if spec.num_classes else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(image)), inplace=True)
        x = self.maxpool(x)
        for blocks in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = blocks(x)
        if self.spec.attention_at_end:
            x = self.attention(x)
        x = self.avgpool(x)  # (batch, channels, height, width) -> (batch, channels)
        return self.fc(self.dropout(x))


def stage(spec: Spec, number: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualBlock(spec.block_spec(number, index)) for index in range(spec.num_blocks[number])])


def build(spec: Spec) -> ResNet:
    return ResNet(spec)
