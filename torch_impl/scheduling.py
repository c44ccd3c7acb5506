"""How a schedule of the learning rate is built on an optimizer's groups, and how it is run on a case."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.schedule import Schedule as Spec
from ..core.technique import Arrays


def begin(optimizer: torch.optim.Optimizer, rate: float) -> list[float]:
    """Start every group at this rate times the group's own `multiplier`, and give the groups' rates."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = rate * group.get("multiplier", 1.0)
    return [group["lr"] for group in optimizer.param_groups]


class Schedule(torch.optim.lr_scheduler.LambdaLR):
    """`LambdaLR` on a rate of which each step has a share. Nothing is multiplied up, so that no rounding adds up."""

    def __init__(self, optimizer: torch.optim.Optimizer, rate: float, share: Callable[[int], float]) -> None:
        begin(optimizer, rate)
        super().__init__(optimizer, share)


def trace_schedule(build: Callable[..., Any], spec: Spec, case: Arrays) -> Arrays:
    """The rates of every step, of two groups, and again from the middle after all was saved, built anew and loaded."""

    def start() -> tuple[torch.optim.Optimizer, Any]:
        groups = [{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2)]
        groups[1]["multiplier"] = spec.FACTOR
        optimizer = torch.optim.SGD(groups)
        return optimizer, build(spec, optimizer)

    def run(optimizer: torch.optim.Optimizer, scheduler: Any, count: int) -> list[list[float]]:
        rates = []
        for _ in range(count):
            rates.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            scheduler.step()
        return rates

    steps, middle = len(case["steps"]), spec.middle(case)
    first, file = start(), io.BytesIO()
    before = run(*first, middle)
    torch.save([part.state_dict() for part in first], file)
    whole = np.array(before + run(*first, steps - middle))
    second = start()
    for part, state in zip(second, torch.load(io.BytesIO(file.getvalue())), strict=True):
        part.load_state_dict(state)
    resumed = np.array(run(*second, steps - middle))
    return {"rates": whole[:, 0], "rates times a factor": whole[:, 1], "rates resumed": resumed[:, 0]}
