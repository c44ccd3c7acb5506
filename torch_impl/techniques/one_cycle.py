"""One cycle. See core/techniques/one_cycle.py."""

from __future__ import annotations

import torch

from ...core.technique import Arrays
from ...core.techniques.one_cycle import OneCycle as Spec
from ..scheduling import begin, trace_schedule


class OneCycle(torch.optim.lr_scheduler.OneCycleLR):
    """`OneCycleLR` that stays at its last rate, where PyTorch's raises."""

    def step(self, epoch: int | None = None) -> None:
        if self.last_epoch < self.total_steps - 1:
            super().step(epoch)


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> OneCycle:
    return OneCycle(
        optimizer,
        max_lr=begin(optimizer, spec.learning_rate),
        total_steps=spec.total_steps,
        pct_start=spec.pct_start,
        anneal_strategy={"cosine": "cos", "linear": "linear"}[spec.annealing],
        cycle_momentum=False,
        div_factor=spec.div_factor,
        final_div_factor=spec.final_div_factor,
        three_phase=spec.three_phase,
    )


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
