"""Exponential decay. See core/techniques/exponential_decay.py."""

from __future__ import annotations

import math

import torch

from ...core.technique import Arrays
from ...core.techniques.exponential_decay import ExponentialDecay as Spec
from ..scheduling import Schedule, trace_schedule


class ExponentialDecay(Schedule):
    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        def share(step: int) -> float:
            passed = step / spec.decay_steps
            return spec.gamma ** (math.floor(passed) if spec.staircase else passed)

        super().__init__(optimizer, spec.learning_rate, share)


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> ExponentialDecay:
    return ExponentialDecay(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
