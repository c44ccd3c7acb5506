"""Pooling whose gradient PyTorch's own layers share out in another way than Keras's."""

from __future__ import annotations

import torch
from torch import nn


class GlobalMaxPool2d(nn.Module):
    """The maximum of each channel; equal maxima share the gradient, where `nn.AdaptiveMaxPool2d` gives it to one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(dim=(2, 3))
