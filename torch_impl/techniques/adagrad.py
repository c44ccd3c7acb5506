"""Adagrad. See core/techniques/adagrad.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.adagrad import Adagrad as Spec
from ..stepping import decoupled, evaluated
from ..tracing import trace_optimizer


class Adagrad(torch.optim.Adagrad):
    """`torch.optim.Adagrad` with two more conventions: decoupled decay, and Keras's epsilon."""

    def __init__(self, weights: Any, *, decay: str = "l2", epsilon_convention: str = "outside", **options: Any) -> None:
        super().__init__(weights, **options)
        self.decay, self.epsilon_convention = decay, epsilon_convention

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        with decoupled(self) if self.decay == "decoupled" else contextlib.nullcontext():
            if self.epsilon_convention == "outside":
                super().step()
            else:
                for group in self.param_groups:
                    for weight in group["params"]:
                        if weight.grad is not None:
                            self._update(weight, group)
        return loss

    def _update(self, weight: nn.Parameter, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["sum"] = torch.full_like(weight, self.defaults["initial_accumulator_value"])
        gradient = weight.grad + group["weight_decay"] * weight
        state["sum"].addcmul_(gradient, gradient)
        rate = group["lr"] / (1 + float(state["step"]) * group["lr_decay"])
        state["step"] += 1
        weight.sub_(rate * gradient / (state["sum"] + group["eps"]).sqrt())

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "decay": self.decay, "epsilon_convention": self.epsilon_convention}


def build(spec: Spec, weights: list[Any]) -> torch.optim.Adagrad:
    options = {
        "lr": spec.learning_rate,
        "lr_decay": spec.rate_decay,
        "initial_accumulator_value": spec.initial_accumulator_value,
        "eps": spec.epsilon,
        "weight_decay": spec.weight_decay,
    }
    if spec.decay == "l2" and spec.epsilon_convention == "outside":
        return torch.optim.Adagrad(weights, **options)
    return Adagrad(weights, decay=spec.decay, epsilon_convention=spec.epsilon_convention, **options)


def slots(optimizer: torch.optim.Adagrad, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    return {"sum": [optimizer.state[weight]["sum"] for weight in weights]}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
