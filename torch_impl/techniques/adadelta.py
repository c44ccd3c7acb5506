"""Adadelta. See core/techniques/adadelta.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.adadelta import Adadelta as Spec
from ..stepping import decoupled, evaluated
from ..tracing import trace_optimizer


class Adadelta(torch.optim.Adadelta):
    """`torch.optim.Adadelta` with decoupled decay."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        with decoupled(self):
            super().step()
        return loss


def build(spec: Spec, weights: list[Any]) -> torch.optim.Adadelta:
    optimizer = torch.optim.Adadelta if spec.decay == "l2" else Adadelta
    return optimizer(weights, lr=spec.learning_rate, rho=spec.rho, eps=spec.epsilon, weight_decay=spec.weight_decay)


def slots(optimizer: torch.optim.Adadelta, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    names = {"v": "square_avg", "u": "acc_delta"}
    return {slot: [optimizer.state[weight][name] for weight in weights] for slot, name in names.items()}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
