"""Weights of Keras's other libraries: of live models and of files. Nothing in a file is executed."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from ..core import registry
from ..core.checkpoint import replacing
from ..core.errors import CheckpointError, DiglotError, SpecError
from ..core.foreign import match, numbered, with_head
from ..core.source import Source
from ..core.spec import Spec
from ..core.state import State
from ..core.technique import Arrays
from . import backend, hdf5
from .hub import library

SUFFIXES = (".h5", ".keras")
INSIDE = "model.weights.h5"  # the member of a .keras archive that holds the weights
EXPANSION = 100
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
    with tempfile.TemporaryDirectory() as folder:
        try:
            with h5py.File(_unpacked(path, Path(folder))) as file:
                held = hdf5.datasets(file, str(path))
                if held and not any(name.startswith("?") for name in held):
                    yield held
                    return
        except UNREADABLE as error:
            if isinstance(error, DiglotError):
                raise
            raise CheckpointError(f"{path} is not a readable Keras file ({error}); nothing was loaded") from error
        if not held:
            raise CheckpointError(f"{path} holds no weights of Keras layers")
    yield _in_order(path, spec, source)


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


def read_sibling(path: Path, spec: Spec | None) -> tuple[Spec, State]:
    """The spec and the canonical state of this side's own model, out of its .weights.h5 or .keras file.

    Raises SpecError where no spec is given and the file has none, and CheckpointError where the two do not fit.
    """
    found = spec or _configured(path)
    try:
        with tempfile.TemporaryDirectory() as folder, h5py.File(_unpacked(path, Path(folder))) as file:
            dtype = _dtype(hdf5.datasets(file, str(path)))
        model = backend.build(found, dtype)
        model.load_weights(path)
    except UNREADABLE as error:
        if isinstance(error, DiglotError):
            raise
        raise CheckpointError(f"{path} holds no weights of {found.name}: {str(error).splitlines()[0]}") from error
    return found, backend.get_state(model)


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


def _configured(path: Path) -> Spec:
    """The spec in the configuration of a .keras file, read as data: nothing that it names is imported."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))["config"]
        found = registry.make(config["spec"], **config["fields"])
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} does not say which of Diglot's networks it is of; give a spec") from error
    if not isinstance(found, Spec):
        raise SpecError(f"{path} names {config['spec']}, which is not an architecture")
    return found


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


def _unpacked(path: Path, folder: Path) -> Path:
    """The HDF5 file: the given one, or the one in a .keras archive, out of which nothing else is taken."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        if INSIDE not in archive.namelist():
            raise CheckpointError(f"{path} is an archive without {INSIDE}, so it is not a file of Keras")
        if archive.getinfo(INSIDE).file_size > EXPANSION * path.stat().st_size:
            raise CheckpointError(f"{path} would unpack to more than {EXPANSION} times its size; nothing was loaded")
        with archive.open(INSIDE) as member, (folder / INSIDE).open("wb") as file:
            shutil.copyfileobj(member, file)
    return folder / INSIDE


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
