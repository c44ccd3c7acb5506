"""Mixtures of two samples. See core/techniques/mixup.py."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...core.mixing import require_batch
from ...core.technique import Arrays
from ...core.techniques.mixup import Mixup as Spec
from ..mixing import mixed_targets, trace_mixing


def build(spec: Spec) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    def mix(images: torch.Tensor, targets: torch.Tensor, parameters: Arrays) -> tuple[torch.Tensor, torch.Tensor]:
        require_batch("mixup", parameters, images, targets)
        weight = torch.as_tensor(parameters["weight"]).to(images).reshape(-1, *[1] * (images.ndim - 1))
        partners = images[torch.as_tensor(parameters["partner"])]  # (batch, ...)
        return weight * images + (1 - weight) * partners, mixed_targets(spec, targets, parameters, images)

    return mix


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_mixing(build, spec, case)
