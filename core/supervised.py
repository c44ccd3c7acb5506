"""Training by a loss of the outputs with targets, in the form in which a learning spec says its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .learning import STEP, Course, Learner, Verb, scalar
from .noise import Noise
from .spec import Spec
from .technique import Arrays, Technique

EVALUATED = 100


class Supervised:
    """How a network learns by its spec's loss, with one optimizer."""

    COPIES: tuple[str, ...] = ()

    def __init__(self, spec: Spec, optimizer: Technique, batch_size: int) -> None:
        self.spec, self.optimizer, self.batch_size = spec, optimizer, batch_size
        self.name = spec.name

    def optimizers(self) -> dict[str, tuple[Technique, str]]:
        """The one optimizer, of the whole network."""
        return {"network": (self.optimizer, "")}

    def verbs(self) -> dict[str, Verb]:
        """A step on inputs and targets, and what the network makes of them."""
        takes = (*self.spec.inputs(), self.spec.targets())
        return {STEP: Verb(takes, (scalar("loss"),)), "evaluate": Verb(takes, (scalar("loss"), self.spec.outputs()[0]))}

    def course(self, data: Arrays, noise: Noise) -> Course:
        """Batches of the data; of each array `held_out NAME` is for the scores."""
        return Batches(self, data, noise)


class Batches(Course):
    """Inputs and targets by name, in another order in each epoch."""

    def take(self, learner: Learner, step: int) -> Arrays:
        names = [tensor.name for tensor in self.spec.verbs()[STEP].takes]
        rows = self.rows("batch", step, self.spec.batch_size)
        return learner.do(STEP, {name: self.data[name][rows] for name in names}, step)

    def scores(self, learner: Learner) -> Mapping[str, float]:
        tensors = self.spec.verbs()["evaluate"].takes
        held_out = [self.data[f"held_out {tensor.name}"] for tensor in tensors]
        batches = np.array_split(np.arange(len(held_out[0])), max(1, len(held_out[0]) // EVALUATED))
        loss, right, count = 0.0, 0.0, 0
        for rows in batches:
            batch = {tensor.name: array[rows] for tensor, array in zip(tensors, held_out, strict=True)}
            found = learner.do("evaluate", batch)
            loss += float(found["loss"]) * len(rows) / len(held_out[0])
            guess: Any = found[self.spec.spec.outputs()[0].name].argmax(axis=-1)
            right, count = right + float(np.sum(guess == batch[tensors[-1].name])), count + guess.size
        return {"held-out loss": loss, "held-out accuracy": right / count}
