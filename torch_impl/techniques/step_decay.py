"""Decay in steps. See core/techniques/step_decay.py."""

from __future__ import annotations

import torch

from ...core.technique import Arrays
from ...core.techniques.step_decay import StepDecay as Spec
from ..scheduling import Schedule, trace_schedule


class StepDecay(Schedule):
    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        def share(step: int) -> float:
            passed = sum(step >= milestone for milestone in spec.milestones)
            return spec.gamma ** (passed + (0 if spec.every is None else step // spec.every))

        super().__init__(optimizer, spec.learning_rate, share)


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> StepDecay:
    return StepDecay(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
