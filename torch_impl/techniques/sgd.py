"""Stochastic gradient descent. See core/techniques/sgd.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.sgd import SGD as Spec
from ..stepping import decoupled, evaluated
from ..tracing import trace_optimizer


class SGD(torch.optim.SGD):
    """`torch.optim.SGD` with two more conventions: decoupled decay, and Keras's velocity."""

    def __init__(self, weights: Any, *, decay: str = "l2", velocity: str = "gradient", **options: Any) -> None:
        super().__init__(weights, **options)
        self.decay, self.velocity = decay, velocity

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        with decoupled(self) if self.decay == "decoupled" else contextlib.nullcontext():
            if self.velocity == "gradient" or not self.defaults["momentum"]:
                super().step()
            else:
                for group in self.param_groups:
                    for weight in group["params"]:
                        if weight.grad is not None:
                            self._update(weight, group)
        return loss

    def _update(self, weight: nn.Parameter, group: dict[str, Any]) -> None:
        gradient = weight.grad + group["weight_decay"] * weight
        rate, momentum = group["lr"], group["momentum"]
        buffer = self.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))
        buffer.mul_(momentum).sub_(rate * gradient)
        weight.add_(momentum * buffer - rate * gradient if group["nesterov"] else buffer)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "decay": self.decay, "velocity": self.velocity}


def build(spec: Spec, weights: list[Any]) -> torch.optim.SGD:
    options = {
        "lr": spec.learning_rate,
        "momentum": spec.momentum,
        "nesterov": spec.nesterov,
        "weight_decay": spec.weight_decay,
    }
    if spec.decay == "l2" and (spec.velocity == "gradient" or not spec.momentum):
        return torch.optim.SGD(weights, **options)
    return SGD(weights, decay=spec.decay, velocity=spec.velocity, **options)


def slots(optimizer: torch.optim.SGD, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    if not optimizer.defaults["momentum"]:
        return {}
    return {"velocity": [optimizer.state[weight]["momentum_buffer"] for weight in weights]}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
