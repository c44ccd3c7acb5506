"""The forms of a file as they are written: all that says what is where first, then each tensor in its turn."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from . import hdf5, pickled, safetensors, torch_file
from .planned import Planned
from .stored import CODES, reason

OPAQUE = {"BF16": "V2", "BOOL": "?"}
ALIGNED = 64
LONG = 1 << 31
AT_ONCE = 1 << 18  # bytes; for more the system takes pages so large that it has none ready


@dataclass(frozen=True)
class Sink:
    """Takes the bytes of tensors: the number of the tensor, which of its bytes is the first, and the bytes.

    Where it takes them `anywhere`, they come in any order and from any thread; otherwise one behind the other.
    """

    put: Callable[[int, int, Any], None]
    anywhere: bool


@contextlib.contextmanager
def as_safetensors(path: Path, tensors: Sequence[Planned], metadata: Mapping[str, str]) -> Iterator[Sink]:
    """A safetensors file."""
    head = safetensors.header([(each.name, each.code, each.shape) for each in tensors], metadata)
    ends = itertools.accumulate((each.nbytes for each in tensors), initial=len(head))
    with path.open("r+b", buffering=0) as file:  # not truncated: ext4 would write all of it out when it is closed
        _whole(file, head)
        yield _placed(file, list(ends))


@contextlib.contextmanager
def as_hdf5(path: Path, tensors: Sequence[Planned], metadata: Mapping[str, str]) -> Iterator[Sink]:
    """A `.weights.h5` of Keras 3: names are the paths of datasets."""
    with _hdf5(path, lambda file: {each.name: _dataset(file, each.name, each) for each in tensors}) as sink:
        yield sink


@contextlib.contextmanager
def as_legacy(path: Path, tensors: Sequence[Planned], metadata: Mapping[str, str]) -> Iterator[Sink]:
    """A legacy `.h5`: a group per layer, by whose order Keras loads, and the names in attributes."""

    def written(file: Any) -> dict[str, Any]:
        layers: dict[str, list[Planned]] = {}
        for each in tensors:
            layers.setdefault(each.name.rpartition("/")[0], []).append(each)
        hdf5_names(file, hdf5.LAYERS, list(layers))
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "3.0.0"
        found: dict[str, Any] = {}
        for layer, held in layers.items():
            group, names = file.create_group(layer), {each.name: f"{each.name}:0" for each in held}
            hdf5_names(group, hdf5.WEIGHTS, list(names.values()))
            found |= {each.name: _dataset(group, names[each.name], each) for each in held}
        return {each.name: found[each.name] for each in tensors}

    with _hdf5(path, written) as sink:
        yield sink


@contextlib.contextmanager
def as_torch(path: Path, tensors: Sequence[Planned], metadata: Mapping[str, str]) -> Iterator[Sink]:
    """What `torch.save` makes of a state_dict, its storages aligned so that `torch.load` can map them."""
    for each in tensors:
        if each.code not in pickled.STORAGES.values():
            raise CheckpointError(
                f"{path}: {each.name} is stored as {each.code}, which is not written as PyTorch's file"
            )
    with path.open("r+b") as file, zipfile.ZipFile(file, "w") as archive:
        begun: dict[int, Any] = {}
        held = [(each.name, each.code, each.shape) for each in tensors]
        _member(archive, "archive/data.pkl", pickled.write(held))
        _member(archive, "archive/byteorder", b"little")
        with contextlib.ExitStack() as stack:

            def put(number: int, begin: int, block: Any) -> None:
                if number not in begun:
                    stack.close()
                    large = tensors[number].nbytes >= LONG
                    info = _info(archive, f"archive/data/{number}", large)
                    begun[number] = stack.enter_context(archive.open(info, "w", force_zip64=large))
                begun[number].write(block)

            yield Sink(put, anywhere=False)
        _member(archive, "archive/version", b"3\n")


Container = Callable[[Path, Sequence[Planned], Mapping[str, str]], contextlib.AbstractContextManager[Sink]]
CONTAINERS: dict[str, Container] = {
    safetensors.FORM: as_safetensors, torch_file.FORM: as_torch, hdf5.FORM: as_hdf5, hdf5.LEGACY: as_legacy,
}  # fmt: skip


def hdf5_names(group: Any, key: str, names: list[str]) -> None:
    """Write a list of names into attributes, in several where it is too long for one."""
    array = np.array([name.encode() for name in names], "S" if names else "S1")
    pieces = np.array_split(array, max(1, -(-array.nbytes // hdf5.ROOM)))
    for index, piece in enumerate(pieces):
        group.attrs[key if len(pieces) == 1 else f"{key}{index}"] = piece


def _whole(file: Any, block: Any) -> None:
    view = memoryview(block)
    while len(view):
        view = view[file.write(view) :]


@contextlib.contextmanager
def _hdf5(path: Path, written: Callable[[Any], dict[str, Any]]) -> Iterator[Sink]:
    """HDF5 with room for each dataset, into which the numbers are then written past the library."""
    import h5py  # type: ignore[import-untyped]

    try:
        with h5py.File(path, "w") as file:
            offsets = [dataset.id.get_offset() for dataset in written(file).values()]
    except (ValueError, RuntimeError, TypeError) as error:  # a name that HDF5 does not take
        raise CheckpointError(f"these weights cannot be written as HDF5: {reason(error)}") from error
    with path.open("r+b", buffering=0) as target:
        yield _placed(target, offsets)


def _placed(file: Any, offsets: Sequence[int | None]) -> Sink:
    """Each tensor at its place in a file, which the system lets one thread at a time write into."""
    lock = threading.Lock()

    def put(number: int, begin: int, block: Any) -> None:
        place = offsets[number]
        if place is None:  # a tensor without numbers
            return
        for at in range(0, len(block), AT_ONCE):
            with lock:
                file.seek(place + begin + at)
                _whole(file, block[at : at + AT_ONCE])

    return Sink(put, anywhere=True)


def _dataset(group: Any, path: str, planned: Planned) -> Any:
    import h5py

    if any(step in ("", ".", "..") for step in path.split("/")) or "\0" in path:
        raise CheckpointError(f"{path!r} is no name that a file of Keras has; map it to another")
    *above, name = path.split("/")
    inner = group.require_group("/".join(above)) if above else group
    if planned.layer and "name" not in inner.attrs:
        inner.attrs["name"] = planned.layer
    if name in inner:
        raise CheckpointError(f"{path} would be written twice")
    if planned.code.startswith("F8"):
        raise CheckpointError(f"{planned.name} is stored as {planned.code}, which files of Keras do not hold")
    kind = np.dtype(OPAQUE.get(planned.code, CODES[planned.code]))
    if not math.prod(planned.shape):
        return inner.create_dataset(name, planned.shape, kind)
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(planned.shape) if planned.shape else h5py.h5s.create(h5py.h5s.SCALAR)
    made = h5py.Dataset(
        h5py.h5d.create(inner.id, name.encode(), h5py.h5t.py_create(kind, logical=True), space, settings)
    )
    if planned.code == "BF16":
        made.attrs["dtype"] = "bfloat16"
    return made


def _member(archive: zipfile.ZipFile, name: str, text: bytes) -> None:
    with archive.open(_info(archive, name, False), "w") as member:
        member.write(text)


def _info(archive: zipfile.ZipFile, name: str, large: bool) -> zipfile.ZipInfo:
    """A member whose bytes begin at a multiple of 64."""
    info = zipfile.ZipInfo(name)
    assert archive.fp is not None
    begin = archive.fp.tell() + 30 + len(name.encode()) + 4 + (20 if large else 0)
    filling = -begin % ALIGNED
    info.extra = b"FB" + filling.to_bytes(2, "little") + b"Z" * filling
    info.external_attr = (0o644 & 0xFFFF) << 16
    return info


def size_beside(tensors: Sequence[Planned]) -> int:
    """A bound of what a file takes beside the numbers."""
    return (1 << 16) + sum(4096 + 4 * len(each.name) for each in tensors)
