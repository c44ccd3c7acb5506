"""Pairs of models as users write them, none of them a sibling: correct ports, and ports with one mistake each.

One file per family, found by scanning this folder; each holds a tuple `PAIRS`. A port with a mistake is the correct one
with a single change, so that what is blamed can be held against what was changed.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import torch
from diglot.core.noise import generator

from .weights import randomise

Inputs = Sequence[np.ndarray] | Mapping[str, np.ndarray]
Load = Callable[[Any, Any], None]


@dataclass(frozen=True)
class Pair:
    """Two models, and what a diagnosis of them must say.

    `inputs` draws arrays in Keras's layout, and `torch_inputs` makes PyTorch's of them where the layout rule does not
    fit. `load` copies the weights by hand from PyTorch to Keras. `by` says what is given to `diglot.compare`: `hand`,
    models loaded so; `transfer`, models that `diglot.transfer` has loaded; `factories`, the two factories.

    `layers` are the names, on either side, of which one must be blamed, and `cause` the words of which one must be in
    the cause; both are empty for a correct port. `seen` is where the mistake shows first: in the forward pass, only in
    the gradients, only in training, or in neither, as a dropout's rate does.
    """

    name: str
    torch: Callable[[], torch.nn.Module]
    keras: Callable[[], keras.Model]
    inputs: Callable[[np.random.Generator], Inputs]
    load: Load
    torch_inputs: Callable[[Inputs], Inputs] | None = None
    by: str = "hand"
    layers: tuple[str, ...] = ()
    cause: tuple[str, ...] = ()
    seen: str = "forward"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def correct(self) -> bool:
        """Whether the port has no mistake."""
        return not self.layers

    @property
    def family(self) -> str:
        """The name of the correct port."""
        return self.name.partition(":")[0]

    def but(self, name: str, layers: str, cause: str, **changes: Any) -> Pair:
        """The same port with a mistake. `layers` and `cause` are lists of words, parted by `|`."""
        named = f"{self.name}: {name}"
        return dataclasses.replace(
            self, name=named, layers=tuple(layers.split("|")), cause=tuple(cause.split("|")), **changes
        )

    def drawn(self) -> tuple[Inputs, Inputs]:
        """The inputs for Keras and for PyTorch."""
        given = self.inputs(generator(0, f"ported {self.family}"))
        if self.torch_inputs is not None:
            return given, self.torch_inputs(given)
        if isinstance(given, Mapping):
            return given, {name: channels_first(array) for name, array in given.items()}
        return given, [channels_first(array) for array in given]

    def built(self) -> tuple[torch.nn.Module, keras.Model]:
        """The two models: PyTorch's with random weights and statistics, Keras's as it is made."""
        source, target = self.torch(), self.keras()
        randomise(source)
        if not target.built:
            given, _ = self.drawn()
            target(given) if isinstance(given, Mapping) or len(given) > 1 else target(given[0])
        return source, target


def channels_first(array: np.ndarray) -> np.ndarray:
    """Pictures and volumes with their channels behind the batch; everything else as it is."""
    return np.moveaxis(array, -1, 1) if array.ndim > 3 else array


def catalogue() -> list[Pair]:
    """Every pair."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return [pair for module in modules for pair in getattr(module, "PAIRS", ())]
