"""Cosine decay with warm restarts. See core/techniques/cosine_restarts.py."""

from __future__ import annotations

import torch

from ...core.technique import Arrays
from ...core.techniques.cosine_restarts import CosineRestarts as Spec
from ..scheduling import begin, trace_schedule


class CosineRestarts(torch.optim.lr_scheduler.CosineAnnealingWarmRestarts):
    """`CosineAnnealingWarmRestarts`, whose last rate is a fraction of each group's own peak."""

    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        begin(optimizer, spec.learning_rate)
        self.final_fraction = spec.final_fraction
        super().__init__(optimizer, T_0=spec.first_period, T_mult=spec.period_factor)

    def get_lr(self) -> list[float]:
        falling = zip(self.base_lrs, super().get_lr(), strict=True)
        return [self.final_fraction * peak + (1 - self.final_fraction) * rate for peak, rate in falling]


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> CosineRestarts:
    return CosineRestarts(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
