"""What each side makes of a user's model. The user's own model is never changed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from ..backend import load
from ..technique import Arrays
from .layer import Layer, Step, Trace

Inputs = Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]


class Subject(Protocol):
    """A copy of a user's model in float64, or in float32 where it cannot be raised.

    `layers` are those with weights, in the order in which the model holds them. `aliases` are second names of a tied
    tensor: {second: first}. `precision` is `float64` or `float32`, and `weaker` says why it is the latter. Arrays are
    in the framework's own layout, and named as the framework names them. `biased` are the layers of batch normalisation
    that are to keep the biased variance in training, as Keras's own all do, where the framework's keep the unbiased.
    `half` names the type of half precision in which the user's model holds weights or computes, or is empty.
    """

    side: str
    layers: tuple[Layer, ...]
    aliases: Mapping[str, str]
    precision: str
    weaker: str
    biased: Collection[str]
    half: str

    def state(self) -> Arrays:
        """Every weight and buffer by its own name; before the first `write`, bitwise as the user holds it."""

    def trains(self, tensor: str) -> bool:
        """Whether a training of the user's moves this tensor by its gradient."""

    def aside(self) -> list[str]:
        """What the framework's own training does to the weights beside gradient steps: penalties and constraints."""

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy arrays into weights of the copy, by name; the others stay."""

    def run(self, inputs: Inputs, *, training: bool = False, watch: bool = True) -> Trace:
        """A forward pass; without `watch` there are no steps. In training mode buffers move, and dropout is off."""

    def gradients(self, inputs: Inputs, cotangents: Sequence[NDArray[Any] | None], *, training: bool = False) -> Arrays:
        """The gradient of the sum of <output, cotangent>: by tensor, and `input 0` … or `input NAME` for floats.

        There is a cotangent for each float output in order, None for one that does not count.
        """

    def train(
        self,
        batches: Sequence[Inputs],
        targets: Sequence[Sequence[NDArray[Any] | None]],
        rate: float,
        *,
        still: Collection[str] = (),
    ) -> Arrays:
        """`loss` of every step, and every tensor after them: SGD on half the mean square of outputs less targets.

        In training mode, dropout off. An output of -inf counts as zero. The tensors in `still` are not trained, and an
        output with the target None does not count. The model is then as before.
        """

    def replay(
        self, step: Step, inputs: Sequence[NDArray[Any]], cotangent: NDArray[Any] | None, *, training: bool = False
    ) -> Arrays:
        """One step alone with other inputs: `output`, and with a cotangent of it `input 0` …, and by name the gradient
        of each of its tensors; in training mode also each buffer after it, as `buffer NAME`. Nothing is left changed.
        """

    def vary(self, step: Step, setting: str, value: Any) -> Step | None:
        """The same step with another value of a setting of core/port/roles.py, to be replayed; None where it cannot."""


def framework(model: Any) -> str:
    """The side of a module or layer, or of a class of them; the empty string for anything else."""
    for side, name, kind in (("torch", "torch.nn", "Module"), ("keras", "keras.layers", "Layer")):
        module = sys.modules.get(name)  # where it is not loaded, nobody has a model of it
        known = getattr(module, kind, None)
        if known is not None and (issubclass(model, known) if isinstance(model, type) else isinstance(model, known)):
            return side
    return ""


def examine(side: str, model: Any, inputs: Inputs, *, precise: bool = True) -> Subject:
    """A subject of a user's model: an instance, or a factory without arguments, called under float64.

    `inputs` are in the framework's own layout; a model that has not been built yet is built on them. Raises InputError
    for what is no model of that side's framework, or one that does not take these inputs.
    """
    load(side)
    package = __name__.removesuffix(".core.port.subject")
    found: Subject = importlib.import_module(f"{package}.{side}_impl.port.subject").examine(model, inputs, precise)
    return found
