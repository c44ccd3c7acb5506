"""Linear warm-up and cosine decay. See core/techniques/warmup_cosine.py."""

from __future__ import annotations

import math

import torch

from ...core.technique import Arrays
from ...core.techniques.warmup_cosine import WarmupCosine as Spec
from ..scheduling import Schedule, trace_schedule


class WarmupCosine(Schedule):
    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        def share(step: int) -> float:
            if step < spec.warmup_steps:
                return step / spec.warmup_steps
            progress = min(1.0, (step - spec.warmup_steps) / spec.decay_steps())
            return spec.final_fraction + (1 - spec.final_fraction) * 0.5 * (1 + math.cos(math.pi * progress))

        super().__init__(optimizer, spec.learning_rate, share)


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> WarmupCosine:
    return WarmupCosine(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
