"""Model-agnostic meta-learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .. import registry
from ..field import flag
from ..learning import Course, Learner, Verb, scalar
from ..meta_learning import MetaSpec, Sets, Tasks, random_digits
from ..noise import Noise
from ..technique import Arrays, Technique

SMALL = {"shots": 4, "queries": 3, "task_batch": 3, "hidden_dims": (6, 5), "inner_steps": 2, "evaluation_steps": 3,
         "inner_rate": 0.05, "learning_rate": 0.01}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MAML(MetaSpec):
    """Model-agnostic meta-learning: initial weights from which a few gradient steps fit any task of a family.

    Source: Finn, Abbeel and Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", ICML 2017,
    algorithm 2, on the sinusoids of section 5.1; classification and first order from section 5.2.

    A training step draws tasks, adapts the weights to the support set of each by `inner_steps` of gradient descent, and
    takes a step of Adam down the gradient, by the initial weights, of the mean query loss of the adapted ones.

    Input: `features`, float, (batch, channels): one channel for sinusoids, 64 pixels for digits. Output:
    `predictions`, float, (batch, channels): of the weights as they are, before any adaptation.

    core/meta_learning.py has the fields family, ways, shots, queries, task_batch, hidden_dims, activation, inner_rate,
    inner_steps, evaluation_steps, parallel, learning_rate, beta_1, beta_2 and epsilon.

    Fields:
        first_order: see core/techniques/inner_loop.py.

    Departs from paper: the meta-gradient is a mean over tasks and not a sum, which Adam makes the same of but for its
    epsilon; the networks are initialised as core/architectures/mlp.py says.

    Departs from the document: its `adapt` is one inner step, and no meta-update follows it.

    Raises SpecError for more ways than there are classes held out, and for sets larger than the classes.

    Frameworks differ: PyTorch calls a module with other weights by `torch.func.functional_call`; in Keras they are
    given in a `StatelessScope`, as `stateless_call` does. `vmap` batches operations as they run, and `vectorized_map`
    rewrites a graph.
    """

    first_order: bool = flag(False)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "maml_small": {**SMALL},
        "maml_small_first_order": {**SMALL, "first_order": True, "activation": "tanh", "parallel": False},
        "maml_small_digits": {**SMALL, "family": "digits", "shots": 2, "queries": 2, "hidden_dims": (6,)},
        "maml_digits": {"family": "digits", "shots": 5, "queries": 10, "inner_rate": 0.1, "inner_steps": 3},
    }
    CHECKED = ("maml_small", "maml_small_first_order", "maml_small_digits")
    RUN: ClassVar[Mapping[str, Any]] = {
        "hidden_dims": (64, 64),
        "activation": "tanh",
        "queries": 20,
        "learning_rate": 0.004,
    }
    RUN_STEPS: ClassVar[int] = 10000

    def inner_loop(self) -> Technique:
        found: Technique = registry.make("inner_loop", rate=self.inner_rate, first_order=self.first_order)
        return found

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        return {"network": (self.adam(), "")}

    def verbs(self) -> dict[str, Verb]:
        sets = (("support_", self.shots), ("query_", self.queries))
        taken = tuple(tensor for name, size in sets for tensor in self.samples(name, shape=(None, size)))
        return {"step": Verb(taken, (scalar("support_loss"), scalar("query_loss"))), **super().verbs()}

    def course(self, data: Arrays, noise: Noise) -> Course:
        return Episodes(self, data, noise)

    def lesson(self, rng: np.random.Generator) -> Arrays:
        return random_digits(rng, self.shots + self.queries + 1) if self.family == "digits" else {}

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
            first_order=bool(rng.random() < 0.5),
        )


class Episodes(Tasks):
    """Each task has a support set and a query set."""

    def sizes(self) -> tuple[int, ...]:
        return self.spec.shots, self.spec.queries

    def taken(self, learner: Learner, step: int, sets: Sets) -> Arrays:
        (inputs, targets), (queries, wanted) = sets
        support = {"support_inputs": inputs, "support_targets": targets}
        return learner.do("step", {**support, "query_inputs": queries, "query_targets": wanted}, step)
