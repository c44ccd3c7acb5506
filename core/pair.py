"""A spec on both sides: the models, and the state, data and draws that both are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import backend, compare, floor, registry, verdict
from .backend import SIDES, Backend, Recipe
from .compare import Comparison
from .learning import Learner, LearningSpec, study
from .noise import Noise, generator
from .spec import Spec
from .state import State, random_state
from .technique import Arrays
from .verdict import Verdict

STEPS = 20
THROWS = 4
Job = Callable[[str, State, list[Arrays]], Arrays]
Floors = dict[str, float]
Compared = Callable[[dict[str, Arrays], Floors, Floors | None], list[Comparison]]


def of_sides(base: dict[str, Arrays], floors: Floors, wide: Floors | None = None) -> list[Comparison]:
    """Side against side."""
    return compare.every(base["torch"], base["keras"], floors, wide)


class Pair:
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
            coins = 2 * self.seed + list(SIDES).index(side) + 100_000 * throw
            state = floor.moved(state, coins, move)
            batches = [floor.moved(batch, coins + 1000 * step, move) for step, batch in enumerate(batches)]
        return job(side, state, batches)

    def floors(
        self, base: dict[str, Arrays], job: Job, batches: list[Arrays], move: str, throw: int = 0
    ) -> dict[str, float]:
        """The noise floor of every tensor: the larger of the two sides' own movements."""
        return floor.larger(*[floor.movement(base[side], self.run(side, job, batches, move, throw)) for side in SIDES])

    def measure(self, job: Job, batches: list[Arrays], compared: Compared = of_sides) -> list[Comparison]:
        """Both sides compared on a job, against the measured floor.

        More movements are measured where the ratio is in doubt, and the wider floor only where it decides.
        """
        base = {side: self.run(side, job, batches) for side in SIDES}
        narrow = self.floors(base, job, batches, floor.NARROW)
        for side in SIDES:
            if changing := self.changing(side, base[side], narrow, job, batches):
                return changing
        found = compared(base, narrow, None)
        for throw in range(1, THROWS):
            if not any(verdict.is_doubtful(item.ratio) for item in found):
                break
            narrow = floor.larger(narrow, self.floors(base, job, batches, floor.NARROW, throw))
            found = compared(base, narrow, None)
        if any(item.verdict is not Verdict.EQUAL and not item.complaint for item in found):
            wide = self.floors(base, job, batches, floor.WIDE)
            found = compared(base, narrow, wide)
        return found

    def changing(
        self, side: str, base: Arrays, floors: dict[str, float], job: Job, batches: list[Arrays]
    ) -> list[Comparison]:
        """What a side gives differently when it is run again, where a floor is too high to be rounding alone.

        Such a floor would hide any difference: a draw that is not shared makes it as large as the tensor.
        """
        high = [name for name in floors if name in base and floors[name] > floor.unit(base[name], floor.WIDE)]
        again = self.run(side, job, batches) if high else base
        label = compare.SIDES[list(SIDES).index(side)]
        return [
            compare.failed(name, f"it is not the same when {label} is run again")
            for name in high
            if not np.array_equal(base[name], again[name])
        ]

    def inputs(self, side: str, dtype: str, state: State, batch: Arrays) -> tuple[Any, Arrays]:
        """A loaded model, and the batch, both in a precision."""
        cast = {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in batch.items()}
        return self.loaded(side, {name: array.astype(dtype) for name, array in state.items()}, dtype), cast


def buffers(spec: Spec, state: State) -> Arrays:
    """The weights that training moves without a gradient."""
    kept = [weight.name for weight in spec.weights() if not weight.trainable]
    return {name: np.asarray(state[name]) for name in kept}
