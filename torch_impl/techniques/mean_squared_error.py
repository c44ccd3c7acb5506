"""The mean squared error. See core/techniques/mean_squared_error.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.mean_squared_error import MeanSquaredError as Spec


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    return nn.MSELoss()


def trace(spec: Spec, case: Arrays) -> Arrays:
    outputs = torch.tensor(case["outputs"], requires_grad=True)
    loss = build(spec)(outputs, torch.tensor(case["targets"]))
    (gradient,) = torch.autograd.grad(loss, outputs)
    return {"loss": loss.detach().numpy(), "gradient": gradient.numpy()}
