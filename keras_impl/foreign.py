"""Weights of Keras's other libraries, of live models and of files. Nothing in a file is ever executed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ..core.errors import CheckpointError
from ..core.technique import Arrays


def is_live(item: Any) -> bool:
    """Whether this is a model of this framework, or its weights in memory."""
    return isinstance(item, keras.Model)


def arrays_of(item: Any) -> Arrays:
    """The weights of a live model by name, without a copy where that can be."""
    return {name: np.asarray(variable.value) for name, variable in _variables(item).items()}


def write_into(item: Any, arrays: Arrays) -> None:
    """Copy arrays into a live model, in its precision."""
    variables = _variables(item)
    for name, array in arrays.items():
        variables[name].assign(array)


def _variables(model: keras.Model) -> dict[str, Any]:
    """Every variable of a model by the name of its layer and its own."""
    found: dict[str, Any] = {}
    for layer in model._flatten_layers(include_self=False):
        inner = {id(variable) for child in layer._layers for variable in child.weights}
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            if id(variable) in inner:
                continue
            if name in found and found[name] is not variable:
                raise CheckpointError(f"two layers of the model {model.name} are called {layer.name}; rename one")
            found[name] = variable
    return found
