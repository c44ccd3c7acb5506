"""Returns and advantages of an episode's steps. See core/techniques/advantages.py."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...core.technique import Arrays
from ...core.techniques.advantages import Advantages as Spec


def build(spec: Spec) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    @torch.no_grad()
    def advantages(
        rewards: torch.Tensor,
        values: torch.Tensor,
        next_values: torch.Tensor,
        terminated: torch.Tensor,
        ended: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        delta = rewards + spec.discount * (1 - terminated) * next_values - values
        kept = spec.discount * spec.gae_lambda * (1 - ended)
        found, following = [], torch.zeros_like(delta[0])
        for step in reversed(range(len(delta))):
            following = delta[step] + kept[step] * following
            found.append(following)
        result = torch.stack(found[::-1])  # (environments) -> (time, environments)
        returns = result + values
        if spec.normalised:
            result = (result - result.mean()) / (result.std(correction=0) + spec.epsilon)
        return result, returns

    return advantages


def trace(spec: Spec, case: Arrays) -> Arrays:
    found = build(spec)(**{name: torch.tensor(array) for name, array in case.items()})
    return {name: tensor.numpy() for name, tensor in zip(("advantages", "returns"), found, strict=True)}
