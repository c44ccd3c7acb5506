"""Adam with decoupled weight decay. See core/techniques/adamw.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.adamw import AdamW as Spec
from ..tracing import trace_optimizer
from .adam import converted_epsilon, options, slots


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` with Keras's convention for epsilon. Each weight is a group, as each counts its own steps."""

    def __init__(self, weights: list[nn.Parameter], **options: Any) -> None:
        super().__init__([{"params": [weight]} for weight in weights], **options)

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        with converted_epsilon(self):
            return super().step(closure)


def build(spec: Spec, weights: list[nn.Parameter]) -> torch.optim.AdamW:
    optimizer = torch.optim.AdamW if spec.epsilon_convention == "corrected" else AdamW
    return optimizer(weights, **options(spec))


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
