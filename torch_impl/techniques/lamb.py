"""LAMB. See core/techniques/lamb.py."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.lamb import LAMB as Spec
from ..per_weight import PerWeight, State, slot
from ..tracing import trace_optimizer


class LAMB(PerWeight):
    def _update(self, weight: nn.Parameter, gradient: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        spec, step = self.spec, int(state["step"])
        m, v = slot(state, "m", weight), slot(state, "v", weight)
        m.lerp_(gradient, 1 - spec.beta_1)
        v.lerp_(gradient * gradient, 1 - spec.beta_2)
        change = m / (1 - spec.beta_1**step) / ((v / (1 - spec.beta_2**step)).sqrt() + spec.epsilon)
        if spec.decay == "inside":
            change.add_(weight, alpha=group["weight_decay"])
        else:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
        length = weight.norm().clamp(min=spec.least_norm, max=spec.greatest_norm)
        size = change.norm()
        trust = torch.where((length > 0) & (size > 0), length / size, 1.0)
        weight.sub_(group["lr"] * trust * change)


def build(spec: Spec, weights: list[Any]) -> LAMB:
    return LAMB(weights, spec)


def slots(optimizer: LAMB, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    return {name: [optimizer.state[weight][name] for weight in weights] for name in ("m", "v")}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
