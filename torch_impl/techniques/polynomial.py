"""Polynomial decay. See core/techniques/polynomial.py."""

from __future__ import annotations

import torch

from ...core.technique import Arrays
from ...core.techniques.polynomial import Polynomial as Spec
from ..scheduling import Schedule, trace_schedule


class Polynomial(Schedule):
    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        def share(step: int) -> float:
            left = max(0.0, 1 - step / spec.total_steps)
            return spec.final_fraction + (1 - spec.final_fraction) * left**spec.power

        super().__init__(optimizer, spec.learning_rate, share)


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> Polynomial:
    return Polynomial(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
