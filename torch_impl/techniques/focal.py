"""The focal loss. See core/techniques/focal.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from ...core.technique import Arrays
from ...core.techniques.focal import Focal as Spec
from ..losses import same_shape, trace_loss


class Focal(nn.Module):
    """The focal loss, on logits."""

    def __init__(self, form: str, alpha: float | None, gamma: float) -> None:
        super().__init__()
        self.form, self.alpha, self.gamma = form, alpha, gamma

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.form == "softmax":
            return self.of_classes(logits, targets)
        same_shape("focal", logits, targets)
        losses = self.focused((2 * targets - 1) * logits)
        if self.alpha is not None:
            losses = losses * (self.alpha * targets + (1 - self.alpha) * (1 - targets))
        return losses.mean()

    def of_classes(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        target = F.one_hot(targets.long(), logits.shape[-1]).bool()  # (..., channels)
        own = torch.where(target, logits, 0.0).sum(dim=-1)  # (...)
        others = logits.masked_fill(target, -torch.inf).logsumexp(dim=-1)
        losses = self.focused(own - others).mean()
        return losses if self.alpha is None else self.alpha * losses

    def focused(self, margins: torch.Tensor) -> torch.Tensor:
        # p_t is the sigmoid of the margin, and 1 - p_t that of its negative.
        return -torch.exp(self.gamma * F.logsigmoid(-margins)) * F.logsigmoid(margins)


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    return Focal(spec.form, spec.alpha, spec.gamma)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
