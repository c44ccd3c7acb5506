"""An environment to learn from: one of gymnasium's, by its name, whose episodes start by shared draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, MissingFrameworkError
from .noise import generator
from .technique import Arrays


class Environment:
    """Episodes, one after another. Each is numbered, and starts with a seed that its number and its label draw.

    An episode goes on bitwise where it was interrupted: it is started again, and its actions are taken again. So the
    environment must be deterministic, as gymnasium's are once they are seeded.

    Raises MissingFrameworkError without gymnasium, and InputError for an environment that is unknown, that observes
    something else than numbers, whose actions are continuous, or that has not the sizes of the spec.
    """

    def __init__(self, spec: Any, seed: int, label: str = "episode", number: int = 0) -> None:
        self.seed, self.label, self.number = seed, label, number
        self.world = _made(spec.name, spec.environment, spec.episode_steps)
        self.first = _fitting(spec, self.world)
        self.begin(number)

    def begin(self, number: int) -> None:
        """Start an episode."""
        self.number, self.actions, self.total = number, list[int](), 0.0
        start = int(generator(self.seed, self.label, number).integers(2**31))
        self.observation = _flat(self.world.reset(seed=start)[0])

    def step(self, action: int) -> tuple[NDArray[np.float64], float, bool, bool]:
        """What an action leads to: the next observation, the reward, and whether the episode is terminated, or cut."""
        found, reward, terminated, truncated, _ = self.world.step(self.first + int(action))
        self.actions.append(int(action))
        self.total += float(reward)
        self.observation = _flat(found)
        return self.observation, float(reward), bool(terminated), bool(truncated)

    def state(self) -> Arrays:
        """The number of the episode, and the actions taken in it."""
        return {self.label: np.array([self.number, *self.actions])}

    def restore(self, state: Arrays) -> None:
        """Go on where `state` was taken."""
        number, *actions = state[self.label].tolist()
        self.begin(number)
        for action in actions:
            self.step(action)


def _flat(observation: Any) -> NDArray[np.float64]:
    return np.asarray(observation, np.float64).reshape(-1)


def _made(agent: str, name: str, steps: int | None) -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise MissingFrameworkError(
            f"{agent} learns from an environment of gymnasium, which is not installed; `pip install 'diglot[demo]'`"
        ) from error
    try:
        return gymnasium.make(name, max_episode_steps=steps, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError) as error:
        raise InputError(
            f"{agent}: gymnasium cannot make the environment {name!r} ({str(error).rstrip('.')}); "
            f"choose another, such as 'CartPole-v1'"
        ) from error


def _fitting(spec: Any, world: Any) -> int:
    """The first action of an environment that fits a spec."""
    seen, acts, name = world.observation_space, world.action_space, spec.environment
    if type(acts).__name__ == "Box":
        raise InputError(
            f"{name} has continuous actions, and {spec.name} chooses among a finite number of them; "
            f"use an environment with discrete actions, such as 'CartPole-v1'"
        )
    for space, wanted, what in ((acts, "Discrete", "actions"), (seen, "Box", "observations")):
        if type(space).__name__ != wanted:
            raise InputError(
                f"{name} has {what} of the kind {type(space).__name__}, and {spec.name} takes those of the kind "
                f"{wanted}; use another environment, such as 'CartPole-v1'"
            )
    sizes = {"observation_size": int(np.prod(seen.shape)), "actions": int(acts.n)}
    for field, size in sizes.items():
        if getattr(spec, field) != size:
            what = "observes so many numbers" if field == "observation_size" else "has so many actions"
            raise InputError(
                f"{spec.name}: {field} is {getattr(spec, field)} and {name} {what}: {size}; give {field}={size}"
            )
    return int(acts.start)
