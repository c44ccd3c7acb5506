"""The mean squared error. See core/techniques/mean_squared_error.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.mean_squared_error import MeanSquaredError as Spec
from ..losses import same_shape, trace_loss


class MeanSquaredError(nn.MSELoss):
    """`nn.MSELoss` that broadcasts nothing."""

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        same_shape("mean_squared_error", outputs, targets)
        return super().forward(outputs, targets)


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    return MeanSquaredError()


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_loss(build, spec, case)
