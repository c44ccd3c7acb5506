"""A user's model in terms that both frameworks share: its layers with their weights, and what one run of it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from .piece import Piece

CUSTOM = "custom"
BLOCK = "block"


@dataclass(frozen=True)
class Slot:
    """One canonical weight of a layer: its name within the layer, its canonical axes, and where its numbers lie.

    Several `pieces` are summed, as an LSTM's two biases are. `trainable` is unset for a buffer.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    trainable: bool = True


@dataclass(frozen=True)
class Layer:
    """A layer that holds weights. `name` is its path in the model, with the framework's own separator.

    `role` is a word of core/port/roles.py; `custom` for a class that Diglot does not know, whose slots are its tensors
    as they are. `settings` are its hyperparameters under the names of that file. `refused` says why the other framework
    cannot hold such a layer at all, or nothing.
    """

    name: str
    role: str
    slots: tuple[Slot, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


@dataclass(eq=False)
class Step:
    """One call while a model ran: of a layer, of a function in a layer's own code, or of a block of several layers.

    `name` is the layer's path, `PATH:FUNCTION#K` for the K-th call of a function in the code of the layer at PATH, and
    `PATH:activation` for the activation that is an argument of a Keras layer: that layer's own step then ends before
    it. `role` is a word of core/port/roles.py, `block` for a layer whose layers are steps themselves, or `custom`.
    `inputs` and `outputs` are the tensors among the arguments and results, in the framework's own layout; one tensor
    that goes from step to step is one and the same array object in both. `layer` is the layer called, by its name in
    `Subject.layers`, or "". `handle` is the side's own business.
    """

    name: str
    role: str
    inputs: tuple[NDArray[Any], ...]
    outputs: tuple[NDArray[Any], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    layer: str = ""
    handle: Any = None


@dataclass
class Trace:
    """What a model did: its outputs, flattened into a list with names, and its steps in the order they ended."""

    outputs: dict[str, NDArray[Any]]
    steps: list[Step]
