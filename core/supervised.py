"""Training by a loss of the outputs with targets, in the form in which a learning spec says its own."""

from __future__ import annotations

from collections.abc import Mapping

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
    """Inputs and targets by name, in another order in each epoch. What it is a course of is a Supervised."""

    def take(self, learner: Learner, step: int) -> Arrays:
        training: Supervised = self.spec
        rows = self.rows("batch", step, training.batch_size)
        names = [tensor.name for tensor in training.verbs()[STEP].takes]
        return learner.do(STEP, {name: self.data[name][rows] for name in names}, step)

    def scores(self, learner: Learner) -> Mapping[str, float]:
        """Of the held-out part, without the targets that the loss does not count."""
        network = self.spec.spec
        names = [*(tensor.name for tensor in network.inputs()), network.targets().name]
        held_out = {name: self.data[f"held_out {name}"] for name in names}
        count = len(held_out[names[-1]])
        ignored = network.loss_fields().get("ignore_index")
        losses, right, counted = 0.0, 0, 0
        for rows in np.array_split(np.arange(count), max(1, count // EVALUATED)):
            batch = {name: array[rows] for name, array in held_out.items()}
            found = learner.do("evaluate", batch)
            targets, guess = batch[names[-1]], found[network.outputs()[0].name].argmax(axis=-1)
            real = np.full(targets.shape, True) if ignored is None else targets != ignored
            losses += float(found["loss"]) * int(real.sum())
            right, counted = right + int(np.sum(real & (guess == targets))), counted + int(real.sum())
        return {"held-out loss": losses / counted, "held-out accuracy": right / counted}
