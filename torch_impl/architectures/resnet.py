"""The residual network. See core/architectures/resnet.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.resnet import ResNet as Spec
from ...core.techniques.batch_norm import BatchNorm
from ..techniques import batch_norm


class ResNet(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.width
        if spec.stem == "imagenet":
            self.conv1 = nn.Conv2d(spec.in_channels, width, 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = nn.Conv2d(spec.in_channels, width, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = norm(spec, width)
        self.layer1 = stage(spec, width, width, spec.num_blocks[0], stride=1)
        self.layer2 = stage(spec, width, 2 * width, spec.num_blocks[1], stride=2)
        self.layer3 = stage(spec, 2 * width, 4 * width, spec.num_blocks[2], stride=2)
        self.layer4 = stage(spec, 4 * width, 8 * width, spec.num_blocks[3], stride=2)
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(8 * width, spec.num_classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(image)))
        x = self.maxpool(x)
        for blocks in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = blocks(x)
        x = self.avgpool(x)  # (batch, channels, height, width) -> (batch, channels)
        return self.fc(x)


class BasicBlock(nn.Module):
    def __init__(self, spec: Spec, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(spec, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(spec, outputs)
        self.shortcut = Projection(spec, inputs, outputs, stride) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = F.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        return F.relu(residual + self.shortcut(x))


class Projection(nn.Module):
    def __init__(self, spec: Spec, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
        self.bn = norm(spec, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x))


def stage(spec: Spec, inputs: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    blocks = [BasicBlock(spec, inputs, outputs, stride)]
    blocks += [BasicBlock(spec, outputs, outputs, 1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def norm(spec: Spec, channels: int) -> nn.Module:
    rule = BatchNorm(epsilon=spec.norm_epsilon, momentum=spec.norm_momentum, running_variance=spec.running_variance)
    return batch_norm.build(rule, channels)


def build(spec: Spec) -> ResNet:
    return ResNet(spec)
