"""The deep Q-network. See core/architectures/dqn.py."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from ...core.architectures.dqn import DQN as Spec
from ...core.noise import Noise
from .. import learning
from ..techniques import temporal_difference


class DQN(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        sizes = (spec.observation_size, *spec.widths)
        self.hidden = nn.ModuleList([nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)])
        self.head = Dueling(spec) if spec.dueling else nn.Linear(spec.widths[-1], spec.actions)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        x = observations
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)


class Dueling(nn.Module):
    """The value of the state, and by how much each action is better than their mean."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.value = nn.Linear(spec.widths[-1], 1)
        self.advantage = nn.Linear(spec.widths[-1], spec.actions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        advantage = self.advantage(x)
        return self.value(x) + advantage - advantage.mean(1, keepdim=True)


class Learner(learning.Learner):
    def __init__(self, model: DQN, noise: Noise | None = None) -> None:
        super().__init__(model, noise)
        self.objective = temporal_difference.build(model.spec.objective())

    def act(self, observations: torch.Tensor) -> torch.Tensor:
        return self.model(observations)

    def step(
        self,
        observations: torch.Tensor,
        actions: torch.Tensor,
        rewards: torch.Tensor,
        next_observations: torch.Tensor,
        terminated: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            next_values = self.copies["target"](next_observations)
            next_online = self.model(next_observations) if self.spec.double else next_values
        loss, targets = self.objective(self.model(observations), actions, rewards, terminated, next_values, next_online)
        self.optimizers["network"].zero_grad()
        loss.backward()
        self.optimizers["network"].step()
        return targets, loss

    @torch.no_grad()
    def step_target(self) -> tuple[()]:
        for kept, weight in zip(self.copies["target"].parameters(), self.model.parameters(), strict=True):
            if self.spec.target_update == "hard":
                kept.copy_(weight)
            else:
                kept.add_(self.spec.tau * (weight - kept))
        return ()


def build(spec: Spec) -> DQN:
    return DQN(spec)
