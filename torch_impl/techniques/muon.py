"""Muon. See core/techniques/muon.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.muon import Muon as Spec
from ..newton_schulz import Orthogonal
from ..per_weight import parted
from ..stepping import evaluated
from ..tracing import trace_optimizer
from . import adamw as adamw_sibling


class Muon(torch.optim.Optimizer):
    """One optimizer for the matrices and AdamW for the others, behind one list of groups and one state."""

    def __init__(self, spec: Spec, matrices: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
        self.parts: dict[bool, tuple[torch.optim.Optimizer, float]] = {}
        if matrices:
            self.parts[True] = (_orthogonal(spec, matrices), 1.0)
        if others:
            self.parts[False] = (adamw_sibling.build(spec.adamw(), others), spec.adam_rate_ratio)
        super().__init__([group for part, _ in self.parts.values() for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        for orthogonal, (part, ratio) in self.parts.items():
            part.state = self.state
            part.param_groups = [group for group in self.param_groups if group["orthogonal"] is orthogonal]
            rates = [group["lr"] for group in part.param_groups]
            for group in part.param_groups:
                group["lr"] *= ratio
            part.step()
            for group, rate in zip(part.param_groups, rates, strict=True):
                group["lr"] = rate
        return loss

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "parts": self.parts}


def _orthogonal(spec: Spec, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    weights = [weight for group in groups for weight in group["params"]]
    conventions = spec.momentum_convention, spec.epsilon_convention, spec.precision
    adjustment = spec.rate_adjustment, spec.rms_rate
    if (
        conventions != ("average", "floor", "bfloat16")
        or (adjustment != ("match_rms_adamw", 0.2) and spec.rate_adjustment != "original")
        # PyTorch's sums of bfloat16 products are float32 even where the weights are float64.
        or any(weight.ndim > 2 or weight.dtype == torch.float64 for weight in weights)
    ):
        return Orthogonal(groups, spec)
    return torch.optim.Muon(
        groups,
        lr=spec.learning_rate,
        weight_decay=spec.weight_decay,
        momentum=spec.momentum,
        nesterov=spec.nesterov,
        ns_coefficients=spec.coefficients,
        eps=spec.epsilon,
        ns_steps=spec.iterations,
        adjust_lr_fn=spec.rate_adjustment,
    )


def build(spec: Spec, weights: list[Any], tables: Iterable[nn.Parameter] = ()) -> Muon:
    excluded = {id(weight) for weight in tables}

    def is_matrix(weight: torch.Tensor) -> bool:
        return spec.orthogonalises(weight.ndim) and id(weight) not in excluded

    rate = spec.learning_rate
    matrices = parted(weights, is_matrix, lr=rate, orthogonal=True)
    return Muon(spec, matrices, parted(weights, lambda weight: not is_matrix(weight), lr=rate, orthogonal=False))


def slots(optimizer: Muon, weights: list[nn.Parameter]) -> dict[str, list[torch.Tensor | None]]:
    names = {"momentum": "momentum_buffer", "m": "exp_avg", "v": "exp_avg_sq"}
    return {slot: [optimizer.state[weight].get(name) for weight in weights] for slot, name in names.items()}


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
