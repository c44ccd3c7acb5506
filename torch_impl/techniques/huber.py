"""The Huber loss. See core/techniques/huber.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.huber import Huber as Spec
from ..losses import same_shape, trace_loss


class Huber(nn.HuberLoss):
    """`nn.HuberLoss` that broadcasts nothing."""

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        same_shape("huber", outputs, targets)
        return super().forward(outputs, targets)


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    return Huber(delta=spec.delta)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
