"""Linear warm-up and cosine decay. See core/techniques/warmup_cosine.py."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.warmup_cosine import WarmupCosine as Spec


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    def factor(step: int) -> float:
        if step < spec.warmup_steps:
            return step / spec.warmup_steps
        progress = min(1.0, (step - spec.warmup_steps) / spec.decay_steps())
        return spec.final_fraction + (1 - spec.final_fraction) * 0.5 * (1 + math.cos(math.pi * progress))

    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = spec.learning_rate
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def trace(spec: Spec, case: Arrays) -> Arrays:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    scheduler = build(spec, optimizer)
    rates = []
    for _ in case["steps"]:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return {"rates": np.array(rates)}
