"""Both sides trained on real data the way their users train: the same batches, from the same state, in float64."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import initial_state
from .core import registry, verdict
from .core.backend import SIDES
from .core.compare import Comparison
from .core.errors import DiglotError
from .core.pair import Pair
from .core.recipe import Recipe
from .core.spec import Spec
from .core.state import State
from .core.technique import Arrays
from .core.verdict import Verdict

# Each `compile` makes Keras trace its prediction anew, and TensorFlow warns where only a few calls follow each tracing.
PREDICTED = 16


@dataclass(frozen=True)
class Trained:
    """One side after training: losses (steps,), held-out logits (batch, ..., channels), seconds of training, state."""

    losses: NDArray[np.float64]
    logits: NDArray[np.float64]
    seconds: float
    state: State


@dataclass(frozen=True, kw_only=True)
class Result:
    """What both sides made of one network and data set; `targets` of the held-out part, (batch, ...)."""

    spec: Spec
    sides: dict[str, Trained]
    comparisons: dict[str, Comparison]
    targets: NDArray[np.int64]

    @property
    def verdict(self) -> Verdict:
        """The most severe verdict on the loss history, the held-out logits and every discrete result."""
        return verdict.worst(item.verdict for item in self.comparisons.values())

    @property
    def same(self) -> int:
        """How many held-out predictions are the same on both sides."""
        one, other = (side.logits.argmax(axis=-1) for side in self.sides.values())
        return int(np.sum(one == other))

    def accuracy(self, side: str) -> float:
        """The share of held-out targets that a side predicts."""
        return float(np.mean(self.sides[side].logits.argmax(axis=-1) == self.targets))


class RealPair(Pair):
    """A pair on real data, that each side trains by its own `fit`, from the initial state if no other is given."""

    def __init__(
        self, spec: Spec, seed: int, recipes: Mapping[str, Recipe], held_out: Arrays, state: State | None = None
    ) -> None:
        super().__init__(spec, seed)
        self.state = initial_state(self.spec, seed) if state is None else state
        self.recipes, self.held_out = recipes, held_out
        self.trained: dict[str, Trained] = {}

    def recipe(self, side: str) -> Recipe:
        """How a side trains the network."""
        return self.recipes[side]

    def fit(self, side: str, state: State, batches: list[Arrays]) -> Arrays:
        """The loss of every step, and the held-out logits and predictions. The first run of a side is kept."""
        fitting: Any = importlib.import_module(f".{side}_impl.fitting", __package__)
        model = self.loaded(side, state)
        start = time.perf_counter()
        losses = fitting.fit(model, batches, self.recipe(side))
        seconds = time.perf_counter() - start
        logits = fitting.predict(model, self.held_out, PREDICTED)
        if side not in self.trained:
            self.trained[side] = Trained(losses, logits, seconds, self.side(side).get_state(model))
        return {"loss": losses, "logits": logits, "predictions": logits.argmax(axis=-1)}

    def result(self, batches: list[Arrays]) -> dict[str, Any]:
        """The fields of a Result: both sides trained, and each again after a unit's movement of state and data."""
        comparisons = {item.name: item for item in self.measure(self.fit, batches)}
        targets = self.held_out[self.spec.targets().name]
        return {"spec": self.spec, "sides": self.trained, "comparisons": comparisons, "targets": targets}


def same_recipe(optimizer: str, *, steps: int = 0, **fields: float) -> dict[str, Recipe]:
    """One recipe for both sides: an optimizer and cross-entropy, in numbers that are exact in float32.

    With `steps`, the rate warms up over a tenth of them and then falls to zero along a cosine.
    """
    schedule = None
    if steps:
        lengths = {"warmup_steps": steps // 10, "total_steps": steps}
        schedule = registry.make("warmup_cosine", learning_rate=fields["learning_rate"], **lengths).rounded()
    same = Recipe(registry.make(optimizer, **fields).rounded(), registry.make("cross_entropy").rounded(), schedule)
    return dict.fromkeys(SIDES, same)


def need_data(package: str = "sklearn", why: str = "the demo's data comes with") -> None:
    """Raises DiglotError where the package that ships the data, or serves the demo otherwise, is not installed."""
    if importlib.util.find_spec(package) is None:
        name = {"sklearn": "scikit-learn", "django": "Django", "sacrebleu": "sacreBLEU"}.get(package, package)
        raise DiglotError(f"{why} {name}: install it with `pip install 'diglot[demo]'`")
