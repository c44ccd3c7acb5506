"""Adam with Nesterov's momentum. See core/techniques/nadam.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.nadam import NAdam as Spec
from ..stepping import evaluated
from ..tracing import trace_optimizer


class NAdam(torch.optim.NAdam):
    """`torch.optim.NAdam` whose product of momenta has the precision of the weight, at least float32."""

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                # The native class makes what is not there yet, all at once or nothing.
                if weight.grad is not None and not self.state[weight]:
                    self.state[weight] = {
                        "step": torch.tensor(0.0),
                        "mu_product": torch.ones((), dtype=torch.promote_types(weight.dtype, torch.float32)),
                        "exp_avg": torch.zeros_like(weight),
                        "exp_avg_sq": torch.zeros_like(weight),
                    }
        super().step()
        return loss


def build(spec: Spec, weights: list[Any]) -> torch.optim.NAdam:
    return NAdam(
        weights,
        lr=spec.learning_rate,
        betas=(spec.beta_1, spec.beta_2),
        eps=spec.epsilon,
        momentum_decay=spec.momentum_decay,
        weight_decay=spec.weight_decay,
        decoupled_weight_decay=spec.decay == "decoupled",
    )


def slots(optimizer: torch.optim.NAdam, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor]]:
    names = {"m": "exp_avg", "v": "exp_avg_sq", "mu_product": "mu_product"}
    return {slot: [optimizer.state[weight][name] for weight in weights] for slot, name in names.items()}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
