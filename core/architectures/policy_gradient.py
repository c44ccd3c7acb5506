"""Policy gradients: REINFORCE with a baseline, and an advantage actor-critic."""

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
from ..spec import Init, Part, Tensor
from ..technique import Arrays, Technique
from ..techniques.adam import Adam
from ..techniques.advantages import Advantages
from ..techniques.clip_by_global_norm import ClipByGlobalNorm
from ..techniques.policy_loss import PolicyLoss

HE, XAVIER = Init("he_normal"), Init("xavier_uniform")
NETWORKS = ("policy", "critic")


@dataclass(frozen=True, kw_only=True)
class PolicyGradient(LearningSpec):
    """A policy that learns from what it does: the logits of its actions, and a critic that values the states.

    Source: REINFORCE with a baseline, Williams, "Simple statistical gradient-following algorithms for connectionist
    reinforcement learning", Machine Learning 8 (1992); advantage actor-critic, Mnih et al., "Asynchronous methods for
    deep reinforcement learning", ICML 2016, algorithm S3 with actors that wait for each other; its advantages are
    Schulman et al., "High-dimensional continuous control using generalized advantage estimation", ICLR 2016, eq. 16.

    Two networks that share nothing, each of dense layers with ReLU and a last dense layer. An action is drawn from the
    softmax of the logits; the best one has the largest.

    Inputs: `observations`, float, (batch, observation_size). Outputs: `logits`, (batch, actions), and `value`,
    (batch, 1).

    Fields:
        environment: name of the gymnasium environment that the training plays.
        observation_size, actions: how many numbers a state has, and how many actions there are.
        episode_steps: after how many steps an episode is cut; None keeps the environment's own limit.
        widths: units of each hidden layer, of the policy and of the critic.
        algorithm: `actor_critic` updates after `rollout_steps` steps in each of `environments`; `reinforce` after
            `rollout_episodes` whole episodes in one environment, and its `gae_lambda` is 1.
        environments, rollout_steps, rollout_episodes: see `algorithm`.
        discount, gae_lambda, normalised: see core/techniques/advantages.py, whose epsilon is 1e-8.
        value_weight, entropy_weight: see core/techniques/policy_loss.py.
        max_norm: largest norm of the gradients of each network, see core/techniques/clip_by_global_norm.py.
        learning_rate, critic_rate: of the policy and of the critic.
        beta_1, beta_2, epsilon: of Adam, see core/techniques/adam.py.

    Departs from paper: Adam for RMSprop, and two networks for one with two heads; so `value_weight` matters to the
    norm alone. The gradient is a mean over the steps, where Williams and Mnih et al. sum.

    Departs from the document: it has the policy alone, without a critic and without any training; its activations are
    arguments of the layers.

    Raises SpecError for numbers against their rules; see core/environment.py for environments that do not fit.

    Frameworks differ: in nothing but names.
    """

    environment: str = word("CartPole-v1")
    observation_size: int = whole(4)
    actions: int = whole(2, least=2)
    episode_steps: int | None = optional_whole(None, least=1)
    widths: tuple[int, ...] = sizes((128, 128))
    algorithm: str = choice("actor_critic", "reinforce")
    environments: int = whole(8)
    rollout_steps: int = whole(16)
    rollout_episodes: int = whole(4)
    discount: float = non_negative(0.99)
    gae_lambda: float = non_negative(0.95)
    normalised: bool = flag(True)
    value_weight: float = non_negative(0.5)
    entropy_weight: float = non_negative(0.01)
    max_norm: float = positive(0.5)
    learning_rate: float = positive(1e-3)
    critic_rate: float = positive(1e-3)
    beta_1: float = fraction(0.9)
    beta_2: float = fraction(0.999)
    epsilon: float = positive(1e-8)

    LOSS: ClassVar[str] = "mean_squared_error"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "policy_gradient_small": {
            "widths": (8, 8),
            "episode_steps": 12,
            "environments": 2,
            "rollout_steps": 16,
            "gae_lambda": 0.75,
            "entropy_weight": 0.125,
        },
        "policy_gradient_small_reinforce": {
            "widths": (8, 8),
            "episode_steps": 24,
            "algorithm": "reinforce",
            "rollout_episodes": 2,
            "normalised": False,
            "value_weight": 2.0,
            "max_norm": 4.0,
        },
    }
    CHECKED = tuple(PRESETS)
    STEPS: ClassVar[int] = 500
    RUN: ClassVar[Mapping[str, Any]] = {
        "environments": 16,
        "discount": 0.98,
        "entropy_weight": 0.001,
        "learning_rate": 5e-4,
        "critic_rate": 3e-3,
    }
    RUN_STEPS: ClassVar[int] = 20_000

    def constraints(self) -> Iterator[str]:
        self.judged()
        yield from super().constraints()

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("observations", VECTOR, (None, self.observation_size)),)

    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("logits", VECTOR, (None, self.actions)), Tensor("value", VECTOR, (None, 1)))

    def loss_weights(self) -> dict[str, float]:
        return {"logits": 1.0, "value": 1.0}

    def targets_of(self, name: str, targets: Any) -> Any:
        return targets[:, :1] if name == "value" else targets

    def parts(self) -> Iterator[Part]:
        for network, outputs in zip(NETWORKS, (self.actions, 1), strict=True):
            size = self.observation_size
            for index, width in enumerate(self.widths):
                yield dense(f"{network}.hidden.{index}", size, width, HE)
                size = width
            yield dense(f"{network}.head", size, outputs, XAVIER)
            yield Part(network, (VECTOR,), VECTOR)

    def judged(self) -> Advantages:
        """How good an action was."""
        share = self.gae_lambda if self.algorithm == "actor_critic" else 1.0
        return self.part_of(Advantages, gae_lambda=share, epsilon=1e-8)

    def objective(self) -> PolicyLoss:
        """What the training minimises."""
        return self.part_of(PolicyLoss)

    def clipping(self) -> ClipByGlobalNorm:
        """How large the gradients of a network may be."""
        return self.part_of(ClipByGlobalNorm, epsilon=1e-6)

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        rates = zip(NETWORKS, (self.learning_rate, self.critic_rate), strict=True)
        return {name: (self.part_of(Adam, learning_rate=rate), name) for name, rate in rates}

    def verbs(self) -> dict[str, Verb]:
        grid, shape = "time environments", (None, None)
        seen = (None, None, self.observation_size)
        rollout = (
            Tensor("observations", f"{grid} channels", seen),
            Tensor("actions", grid, shape, "int", self.actions),
            Tensor("rewards", grid, shape),
            Tensor("next_observations", f"{grid} channels", seen),
            Tensor("terminated", grid, shape),
            Tensor("ended", grid, shape),
        )
        terms = tuple(scalar(name) for name in ("policy_loss", "value_loss", "entropy", "loss"))
        return {"act": Verb(self.inputs(), self.outputs()), "step": Verb(rollout, terms)}

    def course(self, data: Arrays, noise: Noise) -> Course:
        return Rollouts(self, data, noise)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        return cls(
            observation_size=int(rng.integers(1, 6)),
            actions=int(rng.integers(2, 5)),
            widths=tuple(int(width) for width in rng.integers(6, 12, int(rng.integers(1, 3)))),
            algorithm=str(rng.choice(["actor_critic", "reinforce"])),
        )


class Rollouts(Playing):
    """One step in every environment after another, by actions drawn from the policy; an update when enough are kept."""

    ACTED = "logits"

    def __init__(self, spec: PolicyGradient, data: Arrays, noise: Noise) -> None:
        super().__init__(spec, data, noise, spec.environments if spec.algorithm == "actor_critic" else 1)
        self.kept: list[Arrays] = []

    def take(self, learner: Learner, step: int) -> Arrays:
        seen = self.observations()
        actions = self.draw(learner.do("act", {"observations": seen}, step)["logits"], step)
        places = range(len(self.environments))
        found = [self.environments[place].step(int(actions[place])) for place in places]
        following, rewards, terminated, cut = map(np.array, zip(*found, strict=True))
        ended = terminated | cut
        for place in np.flatnonzero(ended):
            self.ended(self.environments[place], step)
        kept = {"actions": actions, "rewards": rewards, "terminated": terminated * 1.0, "ended": ended * 1.0}
        self.kept.append({"observations": seen, "next_observations": following, **kept})
        result = {"action": actions, "reward": rewards}
        if self.full():
            rollout = {name: np.stack([arrays[name] for arrays in self.kept]) for name in self.kept[0]}
            result |= learner.do("step", rollout, step)
            self.kept = []
        return result

    def draw(self, logits: Any, step: int) -> Any:
        """An action for each row, by the inverse of its distribution function at a shared draw."""
        powers = np.exp(np.asarray(logits, np.float64) - logits.max(axis=1, keepdims=True))
        below = np.cumsum(powers / powers.sum(axis=1, keepdims=True), axis=1)
        chances = Noise(self.noise.seed, step).uniform("actions", (len(below), 1))
        return (below[:, :-1] <= chances).sum(axis=1)

    def full(self) -> bool:
        """Whether what is kept makes an update."""
        if self.spec.algorithm == "actor_critic":
            return len(self.kept) == int(self.spec.rollout_steps)
        ends = sum(bool(arrays["ended"][0]) for arrays in self.kept)
        return ends == int(self.spec.rollout_episodes)

    def state(self) -> Arrays:
        names = self.kept[0] if self.kept else ()
        rollout = {f"rollout {name}": np.stack([arrays[name] for arrays in self.kept]) for name in names}
        return {**super().state(), **rollout}

    def restore(self, state: Arrays) -> None:
        super().restore(state)
        rollout = {name.removeprefix("rollout "): array for name, array in state.items() if name.startswith("rollout ")}
        count = len(next(iter(rollout.values()), ()))
        self.kept = [{name: array[place] for name, array in rollout.items()} for place in range(count)]
