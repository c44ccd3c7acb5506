"""Cross-entropy. See core/techniques/cross_entropy.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.cross_entropy import CrossEntropy as Spec

NEVER = -(2**31)


class CrossEntropy(nn.CrossEntropyLoss):
    """`nn.CrossEntropyLoss` with the classes on the last axis, of any rank."""

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        # (..., channels) and (...) -> (positions, channels) and (positions)
        return super().forward(logits.flatten(0, -2), targets.flatten())


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    ignore = NEVER if spec.ignore_index is None else spec.ignore_index
    return CrossEntropy(ignore_index=ignore, label_smoothing=spec.label_smoothing)


def trace(spec: Spec, case: Arrays) -> Arrays:
    logits = torch.tensor(case["logits"], requires_grad=True)
    loss = build(spec)(logits, torch.tensor(case["targets"]))
    (gradient,) = torch.autograd.grad(loss, logits)
    return {"loss": loss.detach().numpy(), "gradient": gradient.numpy()}
