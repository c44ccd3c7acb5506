"""Weights of Keras's other libraries: of live models, of files, and behind names. Nothing in a file is executed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import h5py
import keras
import numpy as np

from ..core.checkpoint import replacing
from ..core.errors import CheckpointError, DiglotError
from ..core.foreign import match, numbered
from ..core.source import Source
from ..core.spec import Spec
from ..core.technique import Arrays
from . import hdf5
from .library import library

SUFFIXES = (".h5", ".keras")
INSIDE = "model.weights.h5"  # the member of a .keras archive that holds the weights
EXPANSION = 100


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
        except (OSError, ValueError, RuntimeError, KeyError, zipfile.BadZipFile) as error:
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
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder, f"model{'.weights.h5' if path.name.endswith('.weights.h5') else path.suffix}")
        if model is None:
            if path.suffix != ".h5" or path.name.endswith(".weights.h5"):
                raise CheckpointError(
                    f"{path}: keras.applications has no model of this spec, so only a legacy .h5 holds its names"
                )
            hdf5.write(beside, {numbered(name): array for name, array in arrays.items()})
        else:
            names = match(spec, source, {name: array.shape for name, array in arrays_of(model).items()})
            write_into(model, {names[name]: array for name, array in arrays.items()})
            if beside.suffix == ".keras":
                model.save(beside)
            elif beside.name.endswith(".weights.h5"):
                model.save_weights(beside)
            else:
                hdf5.write(beside, arrays_of(model), [layer.name for layer in model.layers])
        with beside.open("rb") as written, replacing(path) as file:
            shutil.copyfileobj(written, file)


def fetch(name: str, spec: Spec, source: Source) -> Any:
    """The file behind an address, or keras.applications' model with its `imagenet` weights, by Keras's own downloader.

    Raises CheckpointError where it cannot be had; None where this is no such name.
    """
    try:
        if name == "imagenet":
            return library(spec, source, "float32", "imagenet")
        if "://" in name:
            return Path(keras.utils.get_file(Path(urlparse(name).path).name, name, cache_subdir="models"))
    except Exception as error:  # Keras raises a plain Exception where a download fails
        if isinstance(error, DiglotError):
            raise
        raise CheckpointError(f"{name} could not be downloaded: {error}") from error
    return None


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
    model = library(spec, source, "float32")
    if model is None:
        raise CheckpointError(
            f"{path} does not keep the names of its layers, and keras.applications has no model of this spec to "
            "read it by order; load it into its own model and pass that"
        )
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} does not fit keras.applications' {model.name}: {error}") from error
    warnings.warn(
        f"{path} does not keep the names of its layers: read in the order of keras.applications' {model.name}",
        stacklevel=2,
    )
    return arrays_of(model)


def _dtype(arrays: Arrays) -> str:
    return "float64" if any(array.dtype == np.float64 for array in arrays.values()) else "float32"
