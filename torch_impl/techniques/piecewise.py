"""Rates by hand. See core/techniques/piecewise.py."""

from __future__ import annotations

import torch

from ...core.technique import Arrays
from ...core.techniques.piecewise import Piecewise as Spec
from ..scheduling import Schedule, trace_schedule


class Piecewise(Schedule):
    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        # On a rate of 1, so that each rate is given as it was written.
        super().__init__(optimizer, 1.0, lambda step: spec.rates[sum(step >= first for first in spec.boundaries)])


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> Piecewise:
    return Piecewise(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_schedule(build, spec, case)
