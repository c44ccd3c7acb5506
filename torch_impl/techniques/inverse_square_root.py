"""Linear warm-up and inverse square root. See core/techniques/inverse_square_root.py."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.inverse_square_root import InverseSquareRoot as Spec


class InverseSquareRoot(torch.optim.lr_scheduler.LambdaLR):
    """`LambdaLR` on a base rate of factor / sqrt(d_model). It counts from 0, and the formula from 1."""

    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] = spec.factor * spec.d_model**-0.5
        super().__init__(optimizer, lambda step: min((step + 1) ** -0.5, (step + 1) * spec.warmup_steps**-1.5))


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> InverseSquareRoot:
    return InverseSquareRoot(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    scheduler = build(spec, optimizer)
    rates = []
    for _ in case["steps"]:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return {"rates": np.array(rates)}
