"""Preprocessing of photographs. See core/techniques/preprocess.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.preprocess import Preprocess as Spec
from ..layout import to_canonical, to_native

IMAGE = "batch height width channels"


class Preprocess(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        spec = self.spec
        x = images if images.is_floating_point() else images.float()  # (batch, channels, height, width)
        height, width = spec.resized(*x.shape[2:])
        x = F.interpolate(x, (height, width), mode=spec.interpolation, antialias=spec.antialias, align_corners=False)
        top, left = spec.corner(height, width)
        x = x[:, :, top : top + spec.crop_size, left : left + spec.crop_size]
        x = x.flip(1) if spec.channel_order == "bgr" else x
        mean, deviation = (x.new_tensor(values).view(-1, 1, 1) for values in (spec.mean, spec.deviation))
        return (x * spec.scale - mean) / deviation


def build(spec: Spec) -> nn.Module:
    return Preprocess(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    result = build(spec)(torch.tensor(to_native(case["images"], IMAGE)))
    return {"result": to_canonical(result.numpy(), IMAGE)}
