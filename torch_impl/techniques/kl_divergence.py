"""The Kullback-Leibler divergence. See core/techniques/kl_divergence.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.kl_divergence import KLDivergence as Spec
from ..losses import same_shape, trace_loss


class KLDivergence(nn.KLDivLoss):
    """`nn.KLDivLoss` that can divide by all positions."""

    def __init__(self, log_targets: bool, reduction: str) -> None:
        super().__init__(reduction="batchmean", log_target=log_targets)
        self.by_positions = reduction == "positions"

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        same_shape("kl_divergence", outputs, targets)
        if self.by_positions:
            outputs, targets = outputs.flatten(0, -2), targets.flatten(0, -2)  # (positions, channels)
        return super().forward(outputs, targets)


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    return KLDivergence(spec.log_targets, spec.reduction)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
