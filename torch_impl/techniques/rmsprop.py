"""RMSprop. See core/techniques/rmsprop.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.rmsprop import RMSprop as Spec
from ..stepping import decoupled, evaluated
from ..tracing import trace_optimizer


class RMSprop(torch.optim.RMSprop):
    """`torch.optim.RMSprop` with three more conventions: decoupled decay, and Keras's epsilon and velocity."""

    def __init__(
        self,
        weights: Any,
        *,
        decay: str = "l2",
        epsilon_convention: str = "outside",
        velocity: str = "gradient",
        **options: Any,
    ) -> None:
        super().__init__(weights, **options)
        self.conventions = {"decay": decay, "epsilon_convention": epsilon_convention, "velocity": velocity}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        with decoupled(self) if self.conventions["decay"] == "decoupled" else contextlib.nullcontext():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._update(weight, group)
        return loss

    def _update(self, weight: nn.Parameter, group: dict[str, Any]) -> None:
        gradient = weight.grad + group["weight_decay"] * weight
        state = self.state[weight]
        state["step"] = state.get("step", torch.tensor(0.0)) + 1  # without which the native class reads no file
        v = self._slot(weight, "square_avg").mul_(group["alpha"])
        v.addcmul_(gradient, gradient, value=1 - group["alpha"])
        square = v
        if group["centered"]:
            mean = self._slot(weight, "grad_avg").lerp_(gradient, 1 - group["alpha"])
            square = v - mean**2
        if self.conventions["epsilon_convention"] == "outside":
            change = gradient / (square.sqrt() + group["eps"])
        else:
            change = gradient / (square + group["eps"]).sqrt()
        before, after = (1.0, group["lr"]) if self.conventions["velocity"] == "gradient" else (group["lr"], 1.0)
        change = before * change
        if group["momentum"]:
            change = self._slot(weight, "momentum_buffer").mul_(group["momentum"]).add_(change)
        weight.sub_(after * change)

    def _slot(self, weight: nn.Parameter, name: str) -> torch.Tensor:
        state = self.state[weight]
        if name not in state:
            state[name] = torch.zeros_like(weight)
        kept: torch.Tensor = state[name]
        return kept

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "conventions": self.conventions}


def build(spec: Spec, weights: list[Any]) -> torch.optim.RMSprop:
    options = {
        "lr": spec.learning_rate,
        "alpha": spec.rho,
        "eps": spec.epsilon,
        "momentum": spec.momentum,
        "centered": spec.centered,
        "weight_decay": spec.weight_decay,
    }
    native = spec.epsilon_convention == "outside" and (spec.velocity == "gradient" or not spec.momentum)
    if native and spec.decay == "l2":
        return torch.optim.RMSprop(weights, **options)
    conventions = {name: getattr(spec, name) for name in ("decay", "epsilon_convention", "velocity")}
    return RMSprop(weights, **conventions, **options)


def slots(optimizer: torch.optim.RMSprop, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    names = {"v": "square_avg"}
    names |= {"mean": "grad_avg"} if optimizer.defaults["centered"] else {}
    names |= {"velocity": "momentum_buffer"} if optimizer.defaults["momentum"] else {}
    return {slot: [optimizer.state[weight][name] for weight in weights] for slot, name in names.items()}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
