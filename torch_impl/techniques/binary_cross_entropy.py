"""Cross-entropy of independent yes-or-no questions. See core/techniques/binary_cross_entropy.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.binary_cross_entropy import BinaryCrossEntropy as Spec
from ..losses import same_shape, trace_loss


class BinaryCrossEntropy(nn.BCEWithLogitsLoss):
    """`nn.BCEWithLogitsLoss` with Keras's smoothing."""

    def __init__(self, pos_weight: float, label_smoothing: float) -> None:
        super().__init__(pos_weight=None if pos_weight == 1 else torch.tensor(pos_weight, dtype=torch.float64))
        self.label_smoothing = label_smoothing

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        same_shape("binary_cross_entropy", logits, targets)
        return super().forward(logits, targets * (1 - self.label_smoothing) + self.label_smoothing / 2)


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    return BinaryCrossEntropy(spec.pos_weight, spec.label_smoothing)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
