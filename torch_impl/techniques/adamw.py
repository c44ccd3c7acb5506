"""Adam with decoupled weight decay. See core/techniques/adamw.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...core.technique import Arrays
from ...core.techniques.adamw import AdamW as Spec
from ..stepping import evaluated
from ..tracing import trace_optimizer
from .adam import converted_epsilon, options, slots


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` with Keras's convention for epsilon."""

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        with converted_epsilon(self):
            super().step()
        return loss


def build(spec: Spec, weights: list[Any]) -> torch.optim.AdamW:
    optimizer = torch.optim.AdamW if spec.epsilon_convention == "corrected" else AdamW
    return optimizer(weights, **options(spec))


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
