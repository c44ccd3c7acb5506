"""Adam. See core/techniques/adam.py."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.adam import Adam as Spec
from ..stepping import evaluated
from ..tracing import trace_optimizer


class Adam(torch.optim.Adam):
    """`torch.optim.Adam` with Keras's convention for epsilon."""

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        with converted_epsilon(self):
            super().step()
        return loss


@contextlib.contextmanager
def converted_epsilon(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Inside, epsilon has the value by which the native class computes the other convention.

    Each weight is a group there, as each counts its own steps.
    """
    kept = optimizer.param_groups
    try:
        optimizer.param_groups = [
            {**group, "params": [weight], "eps": group["eps"] / math.sqrt(1 - group["betas"][1] ** (step + 1))}
            for group in kept
            for weight in group["params"]
            for step in [int(optimizer.state.get(weight, {}).get("step", 0))]
        ]
        yield
    finally:
        optimizer.param_groups = kept


def options(spec: Spec) -> dict[str, Any]:
    return {
        "lr": spec.learning_rate,
        "betas": (spec.beta_1, spec.beta_2),
        "eps": spec.epsilon,
        "weight_decay": spec.weight_decay,
        "amsgrad": spec.amsgrad,
    }


def build(spec: Spec, weights: list[Any]) -> torch.optim.Adam:
    optimizer = torch.optim.Adam if spec.epsilon_convention == "corrected" else Adam
    return optimizer(weights, **options(spec))


def slots(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    names = {"m": "exp_avg", "v": "exp_avg_sq"} | ({"v_max": "max_exp_avg_sq"} if optimizer.defaults["amsgrad"] else {})
    return {slot: [optimizer.state[weight][name] for weight in weights] for slot, name in names.items()}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
