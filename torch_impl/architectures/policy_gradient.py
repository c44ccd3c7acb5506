"""REINFORCE with a baseline, and an advantage actor-critic. See core/architectures/policy_gradient.py."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from ...core.architectures.policy_gradient import PolicyGradient as Spec
from ...core.noise import Noise
from .. import learning
from ..techniques import advantages, clip_by_global_norm, policy_loss


class PolicyGradient(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.policy = Network(spec, spec.actions)
        self.critic = Network(spec, 1)

    def forward(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.policy(observations), self.critic(observations)


class Network(nn.Module):
    def __init__(self, spec: Spec, outputs: int) -> None:
        super().__init__()
        sizes = pairwise((spec.observation_size, *spec.widths))
        self.hidden = nn.ModuleList([nn.Linear(size, width) for size, width in sizes])
        self.head = nn.Linear(spec.widths[-1], outputs)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        x = observations
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)


class Learner(learning.Learner):
    def __init__(self, model: PolicyGradient, noise: Noise | None = None) -> None:
        super().__init__(model, noise)
        self.advantages = advantages.build(model.spec.judged())
        self.objective = policy_loss.build(model.spec.objective())

    def act(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.model(observations)

    def step(
        self,
        observations: torch.Tensor,
        actions: torch.Tensor,
        rewards: torch.Tensor,
        next_observations: torch.Tensor,
        terminated: torch.Tensor,
        ended: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        logits, value = self.model(observations.flatten(0, 1))  # (time, environments, size) -> (samples, ...)
        with torch.no_grad():
            next_values = self.model.critic(next_observations).squeeze(2)  # (time, environments, 1) -> without the 1
        values = value.reshape(rewards.shape)  # (samples, 1) -> (time, environments)
        gained, returns = self.advantages(rewards, values, next_values, terminated, ended)
        loss, policy, worth, entropy = self.objective(
            logits, actions.flatten(), gained.flatten(), values.flatten(), returns.flatten()
        )
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for name, optimizer in self.optimizers.items():
            gradients = [weight.grad for weight in self.weights[name]]
            clipped = clip_by_global_norm.clip(self.spec.clipping(), gradients)
            for weight, gradient in zip(self.weights[name], clipped, strict=True):
                weight.grad = gradient
            optimizer.step()
        return policy, worth, entropy, loss


def build(spec: Spec) -> PolicyGradient:
    return PolicyGradient(spec)
