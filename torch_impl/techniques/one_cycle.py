"""One cycle. See core/techniques/one_cycle.py."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.one_cycle import OneCycle as Spec


class OneCycle(torch.optim.lr_scheduler.OneCycleLR):
    """`OneCycleLR` that stays at its last rate, where PyTorch's raises."""

    def step(self, epoch: int | None = None) -> None:
        if self.last_epoch < self.total_steps - 1:
            super().step(epoch)


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> OneCycle:
    return OneCycle(
        optimizer,
        max_lr=spec.learning_rate,
        total_steps=spec.total_steps,
        pct_start=spec.pct_start,
        anneal_strategy={"cosine": "cos", "linear": "linear"}[spec.annealing],
        cycle_momentum=False,
        div_factor=spec.div_factor,
        final_div_factor=spec.final_div_factor,
        three_phase=spec.three_phase,
    )


def trace(spec: Spec, case: Arrays) -> Arrays:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    scheduler = build(spec, optimizer)
    rates = []
    for _ in case["steps"]:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return {"rates": np.array(rates)}
