"""Squeeze-and-excitation. See core/architectures/squeeze_excitation.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.squeeze_excitation import SqueezeExcitation as Spec
from ..pooling import GlobalMaxPool2d


class SqueezeExcitation(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        if spec.pooling == "average_and_maximum":
            self.squeeze_maximum = GlobalMaxPool2d()
        self.excitation = Excitation(spec)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores = self.excitation(self.squeeze(image))  # (batch, channels)
        if self.spec.pooling == "average_and_maximum":
            scores = scores + self.excitation(self.squeeze_maximum(image))
        return image * torch.sigmoid(scores)[:, :, None, None]  # one weight for each channel


class Excitation(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.reduce = nn.Linear(spec.channels, spec.channels // spec.reduction, bias=spec.bias)
        self.expand = nn.Linear(spec.channels // spec.reduction, spec.channels, bias=spec.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.expand(torch.relu(self.reduce(x)))


def build(spec: Spec) -> SqueezeExcitation:
    return SqueezeExcitation(spec)
