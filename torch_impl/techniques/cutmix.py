"""Images with a box of another one. See core/techniques/cutmix.py."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...core.mixing import require_batch
from ...core.pictures import require_pictures
from ...core.technique import Arrays
from ...core.techniques.cutmix import Cutmix as Spec
from ..mixing import mixed_targets, trace_mixing


def build(spec: Spec) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    def mix(images: torch.Tensor, targets: torch.Tensor, parameters: Arrays) -> tuple[torch.Tensor, torch.Tensor]:
        require_pictures("cutmix", images.shape)
        require_batch("cutmix", parameters, images, targets)
        inside = boxes(parameters, images)[:, None]  # (batch, 1, height, width)
        partners = images[torch.as_tensor(parameters["partner"])]
        return torch.where(inside, partners, images), mixed_targets(spec, targets, parameters, images)

    return mix


def boxes(parameters: Arrays, images: torch.Tensor) -> torch.Tensor:
    """Whether a pixel lies in the box of its sample, (batch, height, width)."""
    (height, width), device = images.shape[2:], images.device
    top, left, bottom, right = torch.as_tensor(parameters["box"], device=device).T[:, :, None]
    row, column = torch.arange(height, device=device), torch.arange(width, device=device)
    rows, columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    return rows[:, :, None] & columns[:, None, :]


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_mixing(build, spec, case)
