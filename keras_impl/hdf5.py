"""Weights in the legacy HDF5 files of Keras, by `layer/variable`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

LAYERS = "layer_names"
ROOM = 60_000  # bytes of one attribute, of which HDF5 takes less than 64 KiB


def write(path: Path, arrays: Mapping[str, np.ndarray], order: Iterable[str] = ()) -> None:
    """The legacy layout: a group per layer in the given order, by which Keras loads, and the names in attributes."""
    layers: dict[str, dict[str, np.ndarray]] = {layer: {} for layer in order}
    for name, array in arrays.items():
        layers.setdefault(name.rpartition("/")[0], {})[f"{name}:0"] = array
    with h5py.File(path, "w") as file:
        _write_names(file, LAYERS, list(layers))
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", keras.__version__
        for layer, variables in layers.items():
            group = file.create_group(layer)
            _write_names(group, "weight_names", list(variables))
            for name, array in variables.items():
                group.create_dataset(name, data=array)


def _write_names(group: Any, key: str, names: list[str]) -> None:
    array = np.array([name.encode() for name in names], "S" if names else "S1")
    pieces = np.array_split(array, max(1, -(-array.nbytes // ROOM)))
    for index, piece in enumerate(pieces):
        group.attrs[key if len(pieces) == 1 else f"{key}{index}"] = piece
