"""What each side implements. Only specs and NumPy arrays cross this line, in the canonical layout and names."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import DiglotError, MissingFrameworkError, nearest
from .learning import Learner, Training
from .noise import Noise
from .recipe import Recipe
from .spec import Part, Spec
from .state import State
from .technique import Arrays, Technique

SIDES = {"torch": ("torch",), "keras": ("keras", "tensorflow")}


@dataclass(frozen=True)
class Call:
    """One call of a part: its tensor arguments (None where one was left out) and its result, the first of several."""

    inputs: tuple[NDArray[Any] | None, ...]
    output: NDArray[Any]


@dataclass
class Run:
    """What a forward pass gave: outputs by name, and the calls of the parts by name, in the order they finished."""

    outputs: Arrays
    calls: dict[str, Call] = field(default_factory=dict)


class Decoder(Protocol):
    """A network that is fed a sequence in pieces, each of which follows those before; a prompt is the first of them.

    `calls` are those of the parts in the last step, of a decoder that was asked for taps.
    """

    calls: dict[str, Call]

    def step(self, tokens: NDArray[np.int64]) -> NDArray[Any]:
        """The logits after the last of these tokens, (batch, time) -> (batch, channels)."""

    def reorder(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows of the batch, in this order; there may be more than before, and one several times."""


class Backend(Protocol):
    """One side. Models are opaque to the core."""

    def build(self, spec: Spec, dtype: str = "float32") -> Any:
        """An ordinary model of this framework, built, with initial values drawn by the framework."""

    def spec_of(self, model: Any) -> Spec:
        """The spec of a model. Raises StateError for one that `build` did not make."""

    def parameter_count(self, model: Any) -> int:
        """The number of trainable numbers, as the framework counts them."""

    def trained(self, model: Any) -> set[str]:
        """The names of the weights that the framework trains."""

    def get_state(self, model: Any) -> State:
        """The canonical state of a model."""

    def set_state(self, model: Any, state: State) -> None:
        """Copy a canonical state into a model. Raises StateError before anything is changed."""

    def forward(
        self, model: Any, inputs: Arrays, *, training: bool = False, noise: Noise | None = None, taps: bool = False
    ) -> Run:
        """Outputs, and with `taps` the calls of every part. Training mode moves the buffers of the model."""

    def decoder(self, model: Any, inputs: Arrays, *, cache: bool = True, taps: bool = False) -> Decoder:
        """A decoder in evaluation mode. `inputs` are all but the one that grows, `spec.generates`.

        With `cache`, a step computes the new positions only; without, it is `Uncached` around this side's forward.
        With `taps`, the parts are called as layers in every step, so that what each does can be seen.
        """

    def pull_back(self, model: Any, inputs: Arrays, cotangents: Arrays) -> Arrays:
        """In evaluation mode: the gradient of <outputs, cotangents> for every weight, buffer and float input.

        What no output depends on is left out.
        """

    def gradients(self, model: Any, batch: Arrays, loss: Technique, *, noise: Noise | None = None) -> Arrays:
        """In training mode: the loss, its gradient for every trainable weight and for every float input."""

    def train(self, model: Any, batches: Sequence[Arrays], recipe: Recipe, *, noise: Noise | None = None) -> Arrays:
        """After a step per batch: every loss, and every weight, buffer and optimizer slot."""

    def learner(self, model: Any, noise: Noise | None = None, training: Training | None = None) -> Learner:
        """The model at the start of its spec's own training, or of a Supervised one where that is given."""

    def replay(
        self,
        model: Any,
        part: Part,
        inputs: Sequence[NDArray[Any] | None],
        cotangent: NDArray[Any],
        noise: Noise | None,
    ) -> Arrays:
        """One part alone, in both modes: outputs, buffers after the training one, and its gradients there."""

    def trace(self, technique: Technique, case: Arrays, dtype: str = "float64") -> Arrays:
        """What this side's technique makes of a case."""


def missing(side: str) -> list[str]:
    """The packages of a side that are not installed."""
    return [package for package in SIDES[side] if importlib.util.find_spec(package) is None]


def load(side: str) -> Backend:
    """The backend of a side, imported when it is first asked for.

    Raises MissingFrameworkError that names the extra to install.
    """
    if not isinstance(side, str) or side not in SIDES:
        raise DiglotError(f"there is no side {side!r}{nearest(str(side), SIDES) or '; the sides are torch and keras'}")
    if absent := missing(side):
        raise MissingFrameworkError(
            f"the {side} side needs {' and '.join(absent)}: install it with `pip install 'diglot[{side}]'`"
        )
    package = __name__.removesuffix(".core.backend")
    backend: Backend = importlib.import_module(f"{package}.{side}_impl.backend")
    return backend
