"""Linear warm-up and inverse square root. See core/techniques/inverse_square_root.py."""

from __future__ import annotations

import torch

from ...core.technique import Arrays
from ...core.techniques.inverse_square_root import InverseSquareRoot as Spec
from ..scheduling import Schedule, trace_schedule


class InverseSquareRoot(Schedule):
    """On a base rate of factor / sqrt(d_model). PyTorch counts from 0, and the formula from 1."""

    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        def share(step: int) -> float:
            return min((step + 1) ** -0.5, (step + 1) * spec.warmup_steps**-1.5)

        super().__init__(optimizer, spec.factor * spec.d_model**-0.5, share)


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> InverseSquareRoot:
    return InverseSquareRoot(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
