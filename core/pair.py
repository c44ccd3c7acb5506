"""A spec on both sides: the models, and the state, data and draws that both are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import backend, floor, registry
from .backend import Backend
from .compare import Comparison
from .learning import Learner, LearningSpec, study
from .measured import Job, Measured
from .noise import Noise, generator
from .recipe import Recipe
from .spec import Spec
from .state import State, random_state
from .technique import Arrays

STEPS = 20


class Pair(Measured):
    """One spec, checked with one seed. Models are built once per side and dtype, and hold no state between jobs."""

    def __init__(self, spec: Spec, seed: int = 0) -> None:
        self.spec: Spec = spec.rounded()
        self.seed = seed
        self.state = random_state(self.spec, seed)
        self._models: dict[tuple[str, str], Any] = {}

    def side(self, side: str) -> Backend:
        """The backend of a side."""
        return backend.load(side)

    def build(self, side: str, dtype: str) -> Any:
        """A new model."""
        return self.side(side).build(self.spec, dtype)

    def recipe(self, side: str) -> Recipe:
        """How a side trains the network in a check."""
        optimizer = registry.make("sgd", learning_rate=0.05, momentum=0.9).rounded()
        return Recipe(optimizer, registry.make(self.spec.loss(), **self.spec.loss_fields()).rounded())

    def model(self, side: str, dtype: str = "float64") -> Any:
        """The model of a side."""
        if (side, dtype) not in self._models:
            self._models[side, dtype] = self.build(side, dtype)
        return self._models[side, dtype]

    def loaded(self, side: str, state: State, dtype: str = "float64") -> Any:
        """The model of a side with a state."""
        model = self.model(side, dtype)
        self.side(side).set_state(model, state)
        return model

    def noise(self) -> Noise:
        """The draws that both sides share."""
        return Noise(self.seed)

    def learning(self, steps: int | None = None) -> list[Comparison]:
        """Both sides compared on the spec's own training, as long as its check takes if not said otherwise."""
        spec = self.spec
        assert isinstance(spec, LearningSpec)
        length = spec.STEPS if steps is None else steps

        def job(side: str, state: State, data: list[Arrays]) -> Arrays:
            return self.learnt(side, state, data[0], length)

        return self.measure(job, [spec.lesson(generator(self.seed, "lesson"))])

    def learnt(self, side: str, state: State, data: Arrays, steps: int) -> Arrays:
        """What the spec's own training comes to on one side."""
        assert isinstance(self.spec, LearningSpec)
        learner = self.learner(side, self.loaded(side, state))
        return study(learner, self.spec.course(data, self.noise()), steps)

    def learner(self, side: str, model: Any) -> Learner:
        """The learner of a side's model."""
        return self.side(side).learner(model, self.noise())

    def batches(self, count: int = 1) -> list[Arrays]:
        """Inputs and targets, another batch for each step."""
        return [self.spec.example(generator(self.seed, "example", step)) for step in range(count)]

    def whole(self, draw: int = 0) -> Arrays:
        """Inputs and targets of the evaluation forward pass, which a network may afford at its full size."""
        return self.spec.whole_example(generator(self.seed, "example", draw))

    def run(self, side: str, job: Job, batches: list[Arrays], move: str | None = None, throw: int = 0) -> Arrays:
        """A job on one side; with `move`, after every weight and input has moved by a unit of that precision.

        Each side moves by its own coins, and anew with each throw, so that the floor rests on several movements.
        """
        state = self.state
        if move:
            coins = self.coins(side, throw)
            state = floor.moved(state, coins, move)
            batches = [floor.moved(batch, coins + 1000 * step, move) for step, batch in enumerate(batches)]
        return job(side, state, batches)

    def inputs(self, side: str, dtype: str, state: State, batch: Arrays) -> tuple[Any, Arrays]:
        """A loaded model, and the batch, both in a precision."""
        cast = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in batch.items()}
        return self.loaded(side, {name: array.astype(dtype) for name, array in state.items()}, dtype), cast


def buffers(spec: Spec, state: State) -> Arrays:
    """The weights that training moves without a gradient."""
    kept = [weight.name for weight in spec.weights() if not weight.trainable]
    return {name: np.asarray(state[name]) for name in kept}
