"""The replay memory of Q-learning."""

from __future__ import annotations

import numpy as np

from .noise import Noise
from .technique import Arrays


class Replay:
    """The last transitions, as many as the memory holds; the oldest is overwritten first.

    Source: Lin, "Self-improving reactive agents based on reinforcement learning, planning and teaching", Machine
    Learning 8 (1992), section 3.2; Mnih et al., "Human-level control through deep reinforcement learning", Nature 518
    (2015), algorithm 1.

    Only a terminated episode is kept as such. One that was merely cut after so many steps would have gone on, so its
    last state keeps a value.
    """

    def __init__(self, capacity: int, observation_size: int) -> None:
        self.capacity, self.added = capacity, 0
        self.arrays: Arrays = {
            "observations": np.zeros((capacity, observation_size)),
            "actions": np.zeros(capacity, np.int64),
            "rewards": np.zeros(capacity),
            "next_observations": np.zeros((capacity, observation_size)),
            "terminated": np.zeros(capacity),
        }

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, *transition: object) -> None:
        """Keep an observation, the action, its reward, the next observation, and whether it terminated the episode."""
        for array, value in zip(self.arrays.values(), transition, strict=True):
            array[self.added % self.capacity] = value
        self.added += 1

    def sample(self, noise: Noise, count: int) -> Arrays:
        """So many transitions, each drawn from all of them."""
        rows = noise.integers("replay", len(self), (count,))
        return {name: array[rows] for name, array in self.arrays.items()}

    def state(self) -> Arrays:
        """What is kept, in the order of the places, and how many were added."""
        filled = {f"replay {name}": array[: len(self)].copy() for name, array in self.arrays.items() if self.added}
        return {**filled, "replay added": np.array(self.added)}

    def restore(self, state: Arrays) -> None:
        """Go on where `state` was taken."""
        self.added = int(state["replay added"])
        for name, array in self.arrays.items():
            if self.added:
                array[: len(self)] = state[f"replay {name}"]
