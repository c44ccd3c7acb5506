"""What the optimizers that PyTorch lacks have in common: a loop over groups and weights, and a state that copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..core.technique import Optimizer as Spec
from .stepping import evaluated

State = dict[str, Any]


class PerWeight(torch.optim.Optimizer):
    """A subclass gives `_update`. A group's own `lr` and `weight_decay` hold for its weights."""

    def __init__(self, weights: list[Any], spec: Spec, **own: Any) -> None:
        self.spec = spec
        fields = spec.fields()
        super().__init__(weights, {"lr": fields["learning_rate"], "weight_decay": fields["weight_decay"], **own})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        loss = evaluated(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    state = self.state[weight]
                    state["step"] = state.get("step", torch.zeros(())) + 1  # a tensor, as in PyTorch's own
                    self._update(weight, weight.grad, state, group)
        return loss

    def _update(self, weight: nn.Parameter, gradient: torch.Tensor, state: State, group: dict[str, Any]) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "spec": self.spec}


def parted(weights: list[Any], belongs: Callable[[torch.Tensor], bool], **own: Any) -> list[dict[str, Any]]:
    """The groups with only those weights that belong, without those that are empty then; `own` yields to a group's."""
    groups = []
    for group in weights if weights and isinstance(weights[0], dict) else [{"params": weights}]:
        given = [group["params"]] if isinstance(group["params"], torch.Tensor) else group["params"]
        kept = [weight for weight in given if belongs(weight)]
        if kept:
            groups.append({**own, **group, "params": kept})
    return groups


def slot(state: State, name: str, like: torch.Tensor) -> torch.Tensor:
    """What is kept under a name, zeros at first."""
    if name not in state:
        state[name] = torch.zeros_like(like)
    kept: torch.Tensor = state[name]
    return kept
