"""Reptile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .. import registry
from ..field import choice, positive, whole
from ..learning import Course, Learner, Verb, scalar
from ..meta_learning import MetaSpec, Sets, Tasks, random_digits
from ..noise import Noise
from ..technique import Arrays, Technique

SMALL = {"shots": 4, "queries": 3, "task_batch": 3, "hidden_dims": (6, 5), "inner_steps": 3, "evaluation_steps": 3,
         "inner_rate": 0.05, "outer_rate": 0.5, "learning_rate": 0.01}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Reptile(MetaSpec):
    """Reptile: initial weights that move towards those which each task's own training comes to; no meta-gradient.

    Source: Nichol, Achiam and Schulman, "On first-order meta-learning algorithms", arXiv:1803.02999 (2018), section 3,
    algorithm 2, which is algorithm 1 on a batch of tasks; sinusoids from section 4, digits after section 6.1.

    A training step draws tasks and trains the weights theta on each by `inner_steps` of gradient descent, each on
    samples of its own. Then theta moves towards the mean of what they came to, theta <- theta + epsilon (mean - theta).

    Input: `features`, float, (batch, channels): one channel for sinusoids, 64 pixels for digits. Output:
    `predictions`, float, (batch, channels): of the weights as they are, before any adaptation.

    core/meta_learning.py has the fields family, ways, shots, queries, task_batch, hidden_dims, activation, inner_rate,
    evaluation_steps, parallel, learning_rate, beta_1, beta_2 and epsilon. `shots` are those of one inner step, and
    `queries` judge only held-out tasks.

    Fields:
        inner_steps: of each task in training, symbol k. A single one makes it joint training (section 3).
        outer: what moves theta. `sgd`: as above; `adam`: Adam, given theta - mean for a gradient (section 3).
        outer_rate: symbol epsilon, the share of the way that `sgd` goes.

    Departs from paper: its outer rate falls to zero over the training, and here it is constant; its inner optimizer is
    Adam for digits, and here gradient descent.

    Raises SpecError for more ways than there are classes held out, and for sets larger than the classes.

    Frameworks differ: as in core/architectures/maml.py.
    """

    inner_steps: int = whole(10)
    outer: str = choice("sgd", "adam")
    outer_rate: float = positive(0.1)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "reptile_small": {**SMALL},
        "reptile_small_adam": {**SMALL, "outer": "adam", "activation": "tanh", "parallel": False},
        "reptile_small_digits": {**SMALL, "family": "digits", "shots": 2, "queries": 2, "hidden_dims": (6,)},
        "reptile_digits": {
            "family": "digits",
            "shots": 5,
            "queries": 10,
            "inner_rate": 0.1,
            "inner_steps": 5,
            "outer_rate": 0.5,
        },
    }
    CHECKED = ("reptile_small", "reptile_small_adam", "reptile_small_digits")
    RUN: ClassVar[Mapping[str, Any]] = {
        "hidden_dims": (64, 64),
        "activation": "tanh",
        "inner_rate": 0.02,
        "task_batch": 10,
        "outer": "adam",
        "learning_rate": 0.002,
    }
    RUN_STEPS: ClassVar[int] = 5000

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        sgd: Technique = registry.make("sgd", learning_rate=self.outer_rate)
        return {"network": (sgd if self.outer == "sgd" else self.adam(), "")}

    def verbs(self) -> dict[str, Verb]:
        losses = scalar("first_loss"), scalar("last_loss")
        taken = self.samples("", "tasks steps samples features", (None, self.inner_steps, self.shots))
        return {"step": Verb(taken, losses), **super().verbs()}

    def course(self, data: Arrays, noise: Noise) -> Course:
        return Minibatches(self, data, noise)

    def lesson(self, rng: np.random.Generator) -> Arrays:
        count = max(self.shots * self.inner_steps, self.shots + self.queries) + 1
        return random_digits(rng, count) if self.family == "digits" else {}

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        return cls(
            family=str(rng.choice(["sinusoids", "digits"])),
            ways=int(rng.integers(2, 4)),
            shots=int(rng.integers(1, 5)),
            queries=int(rng.integers(1, 5)),
            task_batch=int(rng.integers(1, 4)),
            hidden_dims=tuple(int(units) for units in rng.integers(3, 8, rng.integers(1, 3))),
            activation=str(rng.choice(["relu", "tanh"])),
            inner_steps=int(rng.integers(1, 4)),
            evaluation_steps=int(rng.integers(1, 4)),
            parallel=bool(rng.random() < 0.5),
            outer=str(rng.choice(["sgd", "adam"])),
        )


class Minibatches(Tasks):
    """Each task has samples of its own for every inner step."""

    def sizes(self) -> tuple[int, ...]:
        return (int(self.spec.shots),) * int(self.spec.inner_steps)

    def taken(self, learner: Learner, step: int, sets: Sets) -> Arrays:
        inputs, targets = (np.stack([found[index] for found in sets], axis=1) for index in (0, 1))
        return learner.do("step", {"inputs": inputs, "targets": targets}, step)
