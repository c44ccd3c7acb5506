"""The temporal-difference error of Q-learning. See core/techniques/temporal_difference.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from ...core.technique import Arrays
from ...core.techniques.temporal_difference import TemporalDifference as Spec


def build(spec: Spec) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    def loss(
        values: torch.Tensor,
        actions: torch.Tensor,
        rewards: torch.Tensor,
        terminated: torch.Tensor,
        next_values: torch.Tensor,
        next_online: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        best = (next_online if spec.double else next_values).argmax(1)
        future = spec.discount * (1 - terminated) * _of(next_values, best)
        targets = (rewards + future).detach()
        return F.huber_loss(_of(values, actions), targets, delta=spec.delta), targets

    return loss


def _of(values: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """The values of the actions: (batch, actions) -> (batch)."""
    return values.gather(1, actions[:, None])[:, 0]


def trace(spec: Spec, case: Arrays) -> Arrays:
    names = ("values", "next_values", "next_online")
    given = {name: torch.tensor(case[name]).requires_grad_(name in names) for name in case}
    loss, targets = build(spec)(**given)
    sources = [given[name] for name in names]
    found = torch.autograd.grad(loss, sources, allow_unused=True, materialize_grads=True)
    gradients = {f"gradient of {name}": gradient.numpy() for name, gradient in zip(names, found, strict=True)}
    return {"loss": loss.detach().numpy(), "targets": targets.numpy(), **gradients}
