"""Which samples each batch of each epoch has, by shared draws; the same for both sides, and after a resume."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Data
from .errors import InputError, SpecError
from .learning import LearningSpec
from .noise import Noise
from .recipe import Recipe
from .spec import Spec
from .techniques.early_stopping import EarlyStopping
from .techniques.gradient_accumulation import GradientAccumulation
from .techniques.reduce_on_plateau import ReduceOnPlateau

ACCURACY = "accuracy"


@dataclass(frozen=True)
class Batch:
    """Some samples. `step` counts batches over all epochs; a group of micro-batches ends with one that is `due`."""

    step: int
    rows: NDArray[np.int64]
    due: bool


def taught(model: Any) -> Spec | None:
    """The spec of a model that Diglot built, None for any other. Raises SpecError for one that has no single loss."""
    spec = getattr(model, "spec", None)
    if isinstance(spec, LearningSpec):
        raise SpecError(f"{spec.name} learns in a way of its own; train it by `diglot run {spec.name}`")
    return spec if isinstance(spec, Spec) else None


class Epochs:
    """The batches of a training.

    Raises SpecError for a number of epochs or samples below 1, for a warm-up that outlasts the training, for a metric
    that there is not, and for a curriculum without difficulties.
    """

    def __init__(self, data: Data, recipe: Recipe, epochs: int, batch_size: int, seed: int, watch: int = 0) -> None:
        for name, value, least in (("epochs", epochs, 1), ("batch_size", batch_size, 1), ("watch", watch, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(f"{name} must be a whole number, at least {least}, not {value!r}")
        if not isinstance(data, Data) or not isinstance(recipe, Recipe):
            raise SpecError("a training needs a diglot.Data and a diglot.Recipe")
        for technique in (recipe.flow, recipe.dead):
            if technique and not watch:
                raise SpecError(f"{technique.name} is noted every `watch` steps, and watch is 0; set it")
        self.data, self.recipe, self.count, self.batch_size = data, recipe, epochs, batch_size
        self.watch = watch
        self.noise = Noise(seed)
        self.noise.permutation("order", 1)  # a wrong seed is an error of the request
        self.accumulation: GradientAccumulation = recipe.accumulation or GradientAccumulation(micro_batches=1)
        if recipe.curriculum and data.difficulties is None:
            raise SpecError(f"{recipe.curriculum.name} needs the difficulties of the samples; give them with the data")
        self._count = functools.cache(self._counted)
        self.batches = functools.lru_cache(maxsize=2)(self._batches)  # one epoch is asked for batch by batch
        self._warm()
        for waiting in (recipe.plateau, recipe.stopping):
            if waiting:
                self._known(waiting)

    def metrics(self) -> tuple[str, ...]:
        """What is measured of an epoch."""
        measured = ("loss", ACCURACY) if self.classifies() else ("loss",)
        return measured if self.data.held_out is None else (*measured, *(f"val_{name}" for name in measured))

    def classifies(self) -> bool:
        """Whether the loss is of one class among several, so that an accuracy can be said."""
        fields = self.recipe.loss.fields()
        return self.recipe.loss.name == "cross_entropy" or fields.get("form") == "softmax"

    def watched(self, step: int) -> bool:
        """Whether the gradient flow and the dead units of this step are noted."""
        return self.watch > 0 and step % self.watch == 0

    def fitting(self, classes: int | None) -> None:
        """Raises InputError for a class that a network with so many outputs does not have."""
        held_out = self.data.targets[:0] if self.data.held_out is None else self.data.held_out[1]
        for what, targets in (("the data", self.data.targets), ("the held-out data", held_out)):
            if classes is None or not self.classifies() or targets.dtype.kind not in "iu" or not targets.size:
                continue
            counted = targets if self.ignored() is None else targets[targets != self.ignored()]
            for value in (counted.min(initial=0), counted.max(initial=0)):
                if not 0 <= value < classes:
                    raise InputError(f"{what} have the class {value}, and the network tells {classes}, from 0 on")

    def counted(self, rows: NDArray[np.int64]) -> int:
        """How many targets of these samples count."""
        targets = self.data.targets[rows]
        if targets.dtype.kind == "f":
            return int(np.prod(targets.shape[:-1]))
        return int(targets.size if self.ignored() is None else (targets != self.ignored()).sum())

    def ignored(self) -> int | None:
        """The class that the loss does not count, or None."""
        index: int | None = getattr(self.recipe.loss, "ignore_index", None)
        return index

    def _batches(self, epoch: int) -> list[Batch]:
        """The batches of an epoch, counted from 0. The last may be smaller."""
        first = sum(self._count(earlier) for earlier in range(epoch))
        rows = self._order(epoch)
        cut = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        return [Batch(first + index, part, self.accumulation.due(index, len(cut))) for index, part in enumerate(cut)]

    def spans(self, first: int) -> list[tuple[int, int]]:
        """From this epoch on: the first and the one behind the last of epochs that have as many batches."""
        spans: list[tuple[int, int]] = []
        for epoch in range(first, self.count):
            if spans and self._count(epoch) == self._count(epoch - 1):
                spans[-1] = spans[-1][0], epoch + 1
            else:
                spans.append((epoch, epoch + 1))
        return spans

    def steps(self) -> int:
        """The optimizer's steps of the whole training."""
        counts = [self._count(epoch) for epoch in range(self.count)]
        return sum(self.accumulation.due(index, count) for count in counts for index in range(count))

    def identity(self) -> dict[str, Any]:
        """What a training shares with the one that it goes on with. It may be longer."""
        shapes = [[list(array.shape[1:]), str(array.dtype)] for array in (*self.data.arrays(), self.data.targets)]
        held_out = 0 if self.data.held_out is None else len(self.data.held_out[1])
        asked = {
            "data": self.data.digest(),
            "batch_size": self.batch_size,
            "seed": self.noise.seed,
            "samples": len(self.data),
            "held out": held_out,
        }
        found: dict[str, Any] = json.loads(json.dumps({"recipe": self.recipe.described(), "arrays": shapes, **asked}))
        return found

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if self.recipe.curriculum:
            return self.recipe.curriculum.rows(self.data.difficulties, epoch)
        return Noise(self.noise.seed, epoch).permutation("order", len(self.data))

    def _counted(self, epoch: int) -> int:
        samples = len(self._order(epoch)) if self.recipe.curriculum else len(self.data)
        return -(-samples // self.batch_size)

    def _warm(self) -> None:
        schedule, steps = self.recipe.schedule, self.steps()
        if schedule is not None and schedule.warmup() > steps:
            raise SpecError(
                f"{schedule.name} warms up for {schedule.warmup()} steps, and the training has {steps}; "
                "shorten the warm-up or train for more epochs"
            )

    def _known(self, technique: ReduceOnPlateau | EarlyStopping) -> None:
        if technique.monitor not in self.metrics():
            there = ", ".join(self.metrics())
            hint = "; give held-out data" if technique.monitor.startswith("val_") and not self.data.held_out else ""
            raise SpecError(f"{technique.name} watches the metric {technique.monitor!r}, and there are {there}{hint}")
