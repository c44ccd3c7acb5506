"""Linear warm-up and cosine decay. See core/techniques/warmup_cosine.py."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.warmup_cosine import WarmupCosine as Spec


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    for group in optimizer.param_groups:
        # LambdaLR multiplies the first rate by the function; of 1, the product is the rate itself.
        group["lr"] = group["initial_lr"] = 1.0
    return torch.optim.lr_scheduler.LambdaLR(optimizer, spec.rate)


def trace(spec: Spec, case: Arrays) -> Arrays:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    scheduler = build(spec, optimizer)
    rates = []
    for _ in case["steps"]:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return {"rates": np.array(rates)}
