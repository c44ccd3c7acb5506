"""The angle between two vectors. See core/techniques/cosine_similarity.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from ...core.technique import Arrays
from ...core.techniques.cosine_similarity import CosineSimilarity as Spec
from ..losses import same_shape, trace_loss


class CosineSimilarity(nn.Module):
    """One minus `nn.CosineSimilarity`, with the gradient of what it computes, on average."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        same_shape("cosine_similarity", outputs, targets)
        return (1 - (self._direction(outputs) * self._direction(targets)).sum(dim=-1)).mean()

    def _direction(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(x, dim=-1, eps=self.epsilon)


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    return CosineSimilarity(spec.epsilon)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
