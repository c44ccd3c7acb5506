"""Stochastic gradient descent. See core/techniques/sgd.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.sgd import SGD as Spec
from ..tracing import trace_optimizer


class SGD(torch.optim.SGD):
    """`torch.optim.SGD` with two more conventions: decoupled decay, and Keras's velocity."""

    def __init__(self, weights: list[nn.Parameter], spec: Spec) -> None:
        l2 = spec.weight_decay if spec.decay == "l2" else 0.0
        super().__init__(
            weights, lr=spec.learning_rate, momentum=spec.momentum, nesterov=spec.nesterov, weight_decay=l2
        )
        self.spec = spec

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        if self.spec.decay == "decoupled":
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        weight.sub_(group["lr"] * self.spec.weight_decay * weight)
        if self.spec.velocity == "gradient" or not self.spec.momentum:
            return super().step(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, group["lr"], group["weight_decay"])
        return None

    def _update(self, weight: nn.Parameter, rate: float, l2: float) -> None:
        gradient = weight.grad + l2 * weight
        buffer = self.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))
        buffer.mul_(self.spec.momentum).sub_(rate * gradient)
        weight.add_(self.spec.momentum * buffer - rate * gradient if self.spec.nesterov else buffer)


def build(spec: Spec, weights: list[nn.Parameter]) -> torch.optim.SGD:
    if (spec.decay == "l2" or not spec.weight_decay) and (spec.velocity == "gradient" or not spec.momentum):
        return torch.optim.SGD(
            weights,
            lr=spec.learning_rate,
            momentum=spec.momentum,
            nesterov=spec.nesterov,
            weight_decay=spec.weight_decay,
        )
    return SGD(weights, spec)


def slots(optimizer: torch.optim.SGD, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    if not optimizer.defaults["momentum"]:
        return {}
    return {"velocity": [optimizer.state[weight]["momentum_buffer"] for weight in weights]}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
