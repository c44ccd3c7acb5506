"""The deep Q-network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..field import choice, flag, fraction, non_negative, optional_whole, positive, sizes, whole, word
from ..learning import Course, Learner, LearningSpec, Verb, scalar
from ..noise import Noise
from ..parts import VECTOR, dense
from ..playing import Playing
from ..replay import Replay
from ..spec import Init, Part, Tensor
from ..technique import Arrays, Technique
from ..techniques.adam import Adam
from ..techniques.temporal_difference import TemporalDifference

HE, XAVIER = Init("he_normal"), Init("xavier_uniform")


@dataclass(frozen=True, kw_only=True)
class DQN(LearningSpec):
    """A deep Q-network: the value of each action in a state, learnt from a replay memory against a target network.

    Source: Mnih et al., "Human-level control through deep reinforcement learning", Nature 518 (2015), algorithm 1;
    double: van Hasselt, Guez and Silver, AAAI 2016, eq. 4; dueling: Wang et al., "Dueling network architectures for
    deep reinforcement learning", ICML 2016, eq. 9; soft updates of the target network: Lillicrap et al., "Continuous
    control with deep reinforcement learning", ICLR 2016, algorithm 1.

    Dense layers with ReLU, then a dense layer that gives the values; with `dueling` two of them, V and A, and the
    values are V + A - mean A.

    Inputs: `observations`, float, (batch, observation_size). Outputs: `values`, (batch, actions).

    Fields:
        environment: name of the gymnasium environment that the training plays.
        observation_size, actions: how many numbers a state has, and how many actions there are.
        episode_steps: after how many steps an episode is cut; None keeps the environment's own limit.
        widths: units of each hidden layer.
        dueling: whether the last layer is of two streams.
        double, discount, delta: see core/techniques/temporal_difference.py.
        exploration_start, exploration_end, exploration_steps: share of random actions at first and in the end, and the
            step by which it got there, in a straight line.
        memory_size: transitions that the replay memory holds.
        warm_up: steps before the first update.
        train_every: steps between two updates.
        batch_size: transitions of an update.
        target_update: of the target network. `hard` copies the network; `soft` moves by the share `tau` towards it.
        target_every: steps between two updates of the target network, none during the warm-up.
        tau: see `target_update`.
        learning_rate, beta_1, beta_2, epsilon: of Adam, see core/techniques/adam.py.

    Departs from paper: it learns from observations as they are, not from stacked frames, by Adam and not RMSprop. The
    dueling streams have one layer each, and no gradient is rescaled. A step is one action; nothing is repeated.

    Departs from the document: it has the plain network alone, without any training; its activations are arguments of
    the layers.

    Raises SpecError for a batch that the memory cannot hold; see core/environment.py for environments that do not fit.

    Frameworks differ: in nothing but names. An argmax between equal values is the first on both sides.
    """

    environment: str = word("CartPole-v1")
    observation_size: int = whole(4)
    actions: int = whole(2, least=2)
    episode_steps: int | None = optional_whole(None, least=1)
    widths: tuple[int, ...] = sizes((128, 128))
    dueling: bool = flag(False)
    double: bool = flag(False)
    discount: float = non_negative(0.99)
    delta: float = positive(1.0)
    exploration_start: float = non_negative(1.0)
    exploration_end: float = non_negative(0.05)
    exploration_steps: int = whole(5000)
    memory_size: int = whole(50_000)
    warm_up: int = whole(1000)
    train_every: int = whole(2)
    batch_size: int = whole(64)
    target_update: str = choice("hard", "soft")
    target_every: int = whole(500)
    tau: float = positive(0.01)
    learning_rate: float = positive(1e-3)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-8)

    LOSS: ClassVar[str] = "mean_squared_error"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "dqn_small": {
            "widths": (8, 8),
            "episode_steps": 16,
            "exploration_steps": 300,
            "memory_size": 256,
            "warm_up": 64,
            "train_every": 16,
            "batch_size": 16,
            "target_every": 128,
            "learning_rate": 0.015625,
        },
        "dqn_small_dueling": {
            "widths": (8, 8),
            "dueling": True,
            "double": True,
            "discount": 0.9,
            "delta": 0.5,
            "exploration_start": 0.5,
            "exploration_end": 0.25,
            "exploration_steps": 200,
            "memory_size": 1000,
            "warm_up": 64,
            "train_every": 16,
            "batch_size": 16,
            "target_update": "soft",
            "target_every": 16,
            "tau": 0.125,
        },
    }
    CHECKED = tuple(PRESETS)
    STEPS: ClassVar[int] = 500
    COPIES: ClassVar[tuple[str, ...]] = ("target",)
    RUN: ClassVar[Mapping[str, Any]] = {
        "double": True,
        "delta": 10.0,
        "exploration_end": 0.02,
        "train_every": 1,
        "batch_size": 128,
        "target_update": "soft",
        "target_every": 1,
        "learning_rate": 3e-4,
    }
    RUN_STEPS: ClassVar[int] = 25_000

    def constraints(self) -> Iterator[str]:
        self.objective()
        for name in ("exploration_start", "exploration_end", "tau"):
            if getattr(self, name) > 1:
                yield f"{name} {getattr(self, name)} is a share; give at most 1"
        if self.batch_size > self.memory_size:
            yield f"batch_size {self.batch_size} is more than memory_size {self.memory_size}; give a larger memory"
        if self.batch_size > self.warm_up:
            yield f"batch_size {self.batch_size} is more than the warm_up of {self.warm_up} steps; give a longer one"

    def inputs(self) -> tuple[Tensor, ...]:
        return (self._observations("observations"),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("values", VECTOR, (None, self.actions)),)

    def _observations(self, name: str) -> Tensor:
        return Tensor(name, VECTOR, (None, self.observation_size))

    def parts(self) -> Iterator[Part]:
        size = self.observation_size
        for index, width in enumerate(self.widths):
            yield dense(f"hidden.{index}", size, width, HE)
            size = width
        if self.dueling:
            yield dense("head.value", size, 1, XAVIER)
            yield dense("head.advantage", size, self.actions, XAVIER)
            yield Part("head", (VECTOR,), VECTOR)
        else:
            yield dense("head", size, self.actions, XAVIER)

    def objective(self) -> TemporalDifference:
        """What the training minimises."""
        return self.part_of(TemporalDifference)

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        return {"network": (self.part_of(Adam), "")}

    def verbs(self) -> dict[str, Verb]:
        batch = "batch", (None,)
        transitions = (
            self._observations("observations"),
            Tensor("actions", *batch, "int", self.actions),
            Tensor("rewards", *batch),
            self._observations("next_observations"),
            Tensor("terminated", *batch),
        )
        return {
            "act": Verb(self.inputs(), self.outputs()),
            "step": Verb(transitions, (Tensor("targets", *batch), scalar("loss"))),
            "step_target": Verb((), ()),
        }

    def course(self, data: Arrays, noise: Noise) -> Course:
        return QLearning(self, data, noise)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        return cls(
            observation_size=int(rng.integers(1, 6)),
            actions=int(rng.integers(2, 5)),
            widths=tuple(int(width) for width in rng.integers(6, 12, int(rng.integers(1, 3)))),
            dueling=bool(rng.integers(2)),
            double=bool(rng.integers(2)),
        )


class QLearning(Playing):
    """One step in the environment after another, by the best action or a random one; updates in between."""

    ACTED = "values"

    def __init__(self, spec: DQN, data: Arrays, noise: Noise) -> None:
        super().__init__(spec, data, noise, 1)
        self.memory = Replay(spec.memory_size, spec.observation_size)

    def take(self, learner: Learner, step: int) -> Arrays:
        spec, (environment,) = self.spec, self.environments
        seen = self.observations()
        chance, place = Noise(self.noise.seed, step).uniform("exploration", (2,))
        if chance < self.exploration(step):
            action = int(place * spec.actions)
        else:
            action = int(learner.do("act", {"observations": seen}, step)["values"].argmax())
        following, reward, terminated, truncated = environment.step(action)
        self.memory.add(seen[0], action, reward, following, terminated)
        if terminated or truncated:
            self.ended(environment, step)
        result = {"action": np.array(action), "reward": np.array(reward)}
        taken = step + 1
        if taken >= spec.warm_up and taken % spec.train_every == 0:
            batch = self.memory.sample(Noise(self.noise.seed, step), spec.batch_size)
            result |= learner.do("step", batch, step)
        if taken >= spec.warm_up and taken % spec.target_every == 0:
            learner.do("step_target", {}, step)
        return result

    def exploration(self, step: int) -> float:
        """The share of random actions."""
        spec = self.spec
        way = min(1.0, step / spec.exploration_steps)
        return float(spec.exploration_start + way * (spec.exploration_end - spec.exploration_start))

    def state(self) -> Arrays:
        return {**super().state(), **self.memory.state()}

    def restore(self, state: Arrays) -> None:
        super().restore(state)
        self.memory.restore(state)
