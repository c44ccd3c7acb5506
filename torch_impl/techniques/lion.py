"""Lion. See core/techniques/lion.py."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.lion import Lion as Spec
from ..per_weight import PerWeight, State, slot
from ..tracing import trace_optimizer


class Lion(PerWeight):
    def _update(self, weight: nn.Parameter, gradient: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        mean = slot(state, "m", weight)
        mix = self.spec.beta_1 * mean + (1 - self.spec.beta_1) * gradient
        weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * torch.sign(mix))
        mean.mul_(self.spec.beta_2).add_((1 - self.spec.beta_2) * gradient)


def build(spec: Spec, weights: list[Any]) -> Lion:
    return Lion(weights, spec)


def slots(optimizer: Lion, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    return {"m": [optimizer.state[weight]["m"] for weight in weights]}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
