"""Cross-entropy. See core/techniques/cross_entropy.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.cross_entropy import CrossEntropy as Spec
from ..losses import one_weight_each, same_shape, trace_loss

NEVER = -(2**31)


class CrossEntropy(nn.CrossEntropyLoss):
    """`nn.CrossEntropyLoss` with the classes on the last axis, of any rank, and Keras's class weights."""

    def __init__(self, spec: Spec) -> None:
        ignore = NEVER if spec.ignore_index is None or spec.targets == "probabilities" else spec.ignore_index
        super().__init__(ignore_index=ignore, label_smoothing=spec.label_smoothing)
        self.spec = spec

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        one_weight_each("cross_entropy", self.spec.class_weights, logits)
        logits = logits.flatten(0, -2)  # (..., channels) -> (positions, channels)
        if self.spec.targets == "probabilities":
            targets = targets.flatten(0, -2)  # (..., channels) -> (positions, channels)
            same_shape("cross_entropy", logits, targets)
            return super().forward(logits, targets)
        targets = targets.flatten()  # (...) -> (positions)
        if not self.spec.class_weights:
            return super().forward(logits, targets)
        weights = logits.new_tensor(self.spec.class_weights)
        by_weights, smoothing = self.spec.weight_convention == "by_weights", self.label_smoothing
        options = {"ignore_index": self.ignore_index, "label_smoothing": smoothing}
        if by_weights:
            return nn.functional.cross_entropy(logits, targets, weights, **options)
        losses = nn.functional.cross_entropy(logits, targets, reduction="none", **options)
        valid = targets != self.ignore_index
        return (losses * weights[torch.where(valid, targets, 0)]).sum() / valid.sum()


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    return CrossEntropy(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
