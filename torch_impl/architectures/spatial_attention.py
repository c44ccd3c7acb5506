"""Spatial attention. See core/architectures/spatial_attention.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.spatial_attention import SpatialAttention as Spec


class SpatialAttention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.conv = nn.Conv2d(2, 1, spec.kernel_size, padding=spec.kernel_size // 2, bias=spec.bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        mean = image.mean(dim=1, keepdim=True)  # (batch, 1, height, width)
        maximum = image.amax(dim=1, keepdim=True)
        maps = torch.cat([mean, maximum], dim=1)  # (batch, 2, height, width)
        return image * torch.sigmoid(self.conv(maps))  # one weight for each position


def build(spec: Spec) -> SpatialAttention:
    return SpatialAttention(spec)
