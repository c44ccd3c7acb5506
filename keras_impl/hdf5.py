"""Weights in the HDF5 files of Keras, old and new, by `layer/variable`. Links out of a file are refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from ..core.errors import CheckpointError

# What a file is made of, by its first group or attribute.
WHOLE_MODEL, LAYERS = "model_weights", "layer_names"
ROOM = 60_000  # bytes of one attribute, of which HDF5 takes less than 64 KiB


def datasets(file: h5py.File, label: str) -> dict[str, h5py.Dataset]:
    """Every weight of a file by the name of its layer and its own, a number where the file does not keep that.

    Empty where a file of Keras 3 keeps no names of layers either. Raises CheckpointError for what is no such file.
    """
    root = _inside(file, WHOLE_MODEL, label) if WHOLE_MODEL in file else file
    found: dict[str, h5py.Dataset] = {}
    for name, dataset in _legacy(root, label) if _has(root, LAYERS) else _present(root, label):
        if name in found:
            raise CheckpointError(f"{label} holds {name} twice")
        found[name] = dataset
    return found


def _has(group: Any, name: str) -> bool:
    return name in group.attrs or f"{name}0" in group.attrs


def _names(group: Any, name: str, label: str) -> list[str]:
    """A list of names in the attributes, which Keras splits into numbered ones where it is too long for HDF5."""
    chunks = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(chunks)}" in group.attrs:
        chunks.append(group.attrs[f"{name}{len(chunks)}"])
    if any(np.ndim(chunk) != 1 for chunk in chunks):
        raise CheckpointError(f"{label} has no list of names in {name}, so it is damaged or not a file of Keras")
    return [text.decode() if isinstance(text, bytes) else str(text) for chunk in chunks for text in chunk]


def _legacy(root: Any, label: str) -> Iterator[tuple[str, h5py.Dataset]]:
    for layer in _names(root, LAYERS, label):
        group = _inside(root, layer, label)
        for path in _names(group, "weight_names", label):
            variable = re.sub(r":\d+$", "", path.rpartition("/")[2])
            yield f"{layer}/{variable}", _inside(group, path, label)


def _present(
    root: Any, label: str, path: tuple[str, ...] = (), seen: set[int] | None = None
) -> Iterator[tuple[str, h5py.Dataset]]:
    """The layout of Keras 3: a group per layer, in it `vars` with the layer's name and its numbered variables.

    A group that is linked twice is refused, because links to links would multiply without end.
    """
    seen, address = set() if seen is None else seen, h5py.h5o.get_info(root.id).addr
    if address in seen:
        raise CheckpointError(f"{label} holds one group twice, again at {'/'.join(path)}, as no file of Keras does")
    seen.add(address)
    for key in root:
        if key in ("optimizer", "metrics", "seed_generator") or key.endswith("seed_generator"):
            continue
        child = _inside(root, key, label)
        if not isinstance(child, h5py.Group):
            continue
        if key != "vars":
            yield from _present(child, label, (*path, key), seen)
        elif len(child):
            name = child.attrs.get("name")
            layer = name if isinstance(name, str) else f"?{'/'.join(path)}"
            for number in sorted(child, key=int):
                yield f"{layer}/{number}", _inside(child, number, label)


def _inside(group: Any, path: str, label: str) -> Any:
    """What lies at a path, every step of it in this very file."""
    for step in path.split("/"):
        link = group.get(step, getlink=True) if isinstance(group, h5py.Group) and step else None
        if not isinstance(link, h5py.HardLink):
            raise CheckpointError(f"{label} has nothing of its own at {path}, so it is damaged or not a file of Keras")
        group = group[step]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual or group.dtype.kind not in "fiu"):
        raise CheckpointError(f"{label} keeps no plain numbers of its own at {path}")
    return group


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
