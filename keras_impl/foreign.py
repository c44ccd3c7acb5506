"""Weights of Keras's other libraries: of live models and of files. Nothing in a file is executed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..core.checkpoint import replacing
from ..core.errors import CheckpointError
from ..core.files import hdf5 as stored
from ..core.files.origins import by_layer
from ..core.foreign import match, numbered, with_head
from ..core.source import Source
from ..core.spec import Spec
from ..core.state import State
from ..core.technique import Arrays
from . import backend, hdf5
from .hub import library

SUFFIXES = (".h5", ".keras")
# What h5py and Keras raise for a damaged file, or for one of another making.
UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError, zipfile.BadZipFile)


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


@contextlib.contextmanager
def opened(path: Path, spec: Spec, source: Source) -> Iterator[Mapping[str, Any]]:
    """The arrays of a file by name, each read when it is asked for.

    A file that keeps no names of layers is read by Keras, in the order of keras.applications' own model.
    Raises CheckpointError for a damaged file.
    """
    held = stored.read(path)
    if not held.tensors:
        raise CheckpointError(f"{path} holds no weights of Keras layers")
    named = by_layer(held)
    yield _in_order(path, spec, source) if named is None else named.tensors


def write(path: Path, spec: Spec, source: Source, arrays: Arrays) -> None:
    """Write arrays as a file that keras.applications' own model loads, complete or not at all.

    Where keras.applications has no model of the spec, a legacy .h5 is written that Keras loads with `by_name=True`.
    """
    if path.suffix not in SUFFIXES:
        raise CheckpointError(
            f"{path} must end in .weights.h5, .h5 or .keras, which say how Keras's weights are written"
        )
    model = library(spec, source, _dtype(arrays))
    if model is not None:
        names = match(spec, source, {name: array.shape for name, array in arrays_of(model).items()})
        write_into(model, {names[name]: array for name, array in arrays.items()})
        _saved(path, model)
    elif path.suffix != ".h5" or path.name.endswith(".weights.h5"):
        raise CheckpointError(
            f"{path}: keras.applications has no model of this spec, so only a legacy .h5 can hold its names"
        )
    else:
        with _beside(path) as beside:
            hdf5.write(beside, {numbered(name): array for name, array in arrays.items()})


def write_sibling(path: Path, spec: Spec, state: State) -> None:
    """Write a canonical state so that this side's own model loads it strictly, complete or not at all."""
    model = backend.build(spec, _dtype(state))
    backend.set_state(model, state)
    _saved(path, model)


def _saved(path: Path, model: keras.Model) -> None:
    with _beside(path) as beside:
        if path.suffix == ".keras":
            model.save(beside)
        elif path.name.endswith(".weights.h5"):
            model.save_weights(beside)
        else:
            hdf5.write(beside, arrays_of(model), [layer.name for layer in model.layers])


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file elsewhere with the same suffix, which takes the place of `path` when all is written."""
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder, f"model{'.weights.h5' if path.name.endswith('.weights.h5') else path.suffix}")
        yield beside
        with beside.open("rb") as written, replacing(path) as file:
            shutil.copyfileobj(written, file)


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


def _in_order(path: Path, spec: Spec, source: Source) -> Arrays:
    reason: Exception | None = None
    for candidate in (spec, *with_head(spec)):  # a file with a head fits a model with a head only
        model = library(candidate, source, "float32")
        if model is None:
            raise CheckpointError(
                f"{path} does not keep the names of its layers, and keras.applications has no model of this spec to "
                "read it by order; load it into its own model and pass that"
            )
        try:
            model.load_weights(path)
        except UNREADABLE as error:
            reason = reason or error
        else:
            break
    else:
        raise CheckpointError(f"{path} does not fit keras.applications' {model.name}: {reason}") from reason
    warnings.warn(
        f"{path} does not keep the names of its layers: read in the order of keras.applications' {model.name}",
        stacklevel=2,
    )
    return arrays_of(model)


def _dtype(arrays: Mapping[str, Any]) -> str:
    return "float64" if any(array.dtype == np.float64 for array in arrays.values()) else "float32"
