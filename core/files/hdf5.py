"""Weights in the HDF5 files of Keras, old and new, and in a `.keras` archive. Links out of a file are refused.

A tensor of a file of Keras 3 is named by its dataset's path, `layers/dense/vars/0`; one of a legacy file, whose
attributes list them, by its layer and its own name, `dense/kernel`.
"""

from __future__ import annotations

import functools
import io
import lzma
import math
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from . import heaps
from .layer_names import name_of
from .stored import CODES, PLAIN, Held, Mapped, Stored, reason, sound

FORM, LEGACY, ARCHIVE = "weights.h5", "h5", "keras"
MAGIC = b"\x89HDF\r\n\x1a\n"
INSIDE = "model.weights.h5"  # the member of a .keras archive that holds the weights
WHOLE_MODEL, LAYERS, WEIGHTS = "model_weights", "layer_names", "weight_names"
ROOM = 60_000  # bytes of one attribute, of which HDF5 takes less than 64 KiB
PACKED = 100  # times; zeros alone are packed more tightly
SMALL = 1 << 26
# What h5py and zipfile raise for a damaged file, or for one of another making.
UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, OverflowError,
              NotImplementedError, EOFError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError)  # fmt: skip


def read(path: Path) -> Held:
    """The tensors of a `.weights.h5`, a legacy `.h5` or a `.keras` file by name.

    Raises CheckpointError for a damaged file, and for one that would unpack to far more than it is.
    """
    import h5py  # type: ignore[import-untyped]

    label = f"the weights in {path}"
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            mapped, base, source = _hdf5_in(path, Path(folder))
            file = h5py.File(source, "r")  # stays readable when the folder is gone
        heaps.check(file, mapped, base)
        legacy, found = datasets(file, str(path))
        groups = {} if legacy else {name.rpartition("/")[0]: dataset.parent for name, dataset in found.items()}
        notes = {name: name_of(group, mapped, base) for name, group in groups.items()}
        tensors = {
            name: _stored(name, dataset, notes.get(name.rpartition("/")[0], ""), mapped, base, path)
            for name, dataset in found.items()
        }
    except UNREADABLE as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not a readable Keras file ({reason(error)}); nothing was read") from error
    return Held(label, LEGACY if legacy else FORM if source == path else ARCHIVE, tensors, {}, [mapped])


def datasets(file: Any, label: str) -> tuple[bool, dict[str, Any]]:
    """Whether a file has the legacy layout, and every weight of it by name.

    Raises CheckpointError for what is no such file.
    """
    root = inside(file, WHOLE_MODEL, label) if WHOLE_MODEL in file else file
    legacy = has(root, LAYERS)
    found: dict[str, Any] = {}
    for name, dataset in legacy_datasets(root, label) if legacy else _present(file, label):
        if name in found:
            raise CheckpointError(f"{label} holds {name} twice")
        found[name] = dataset
    return legacy, found


def has(group: Any, name: str) -> bool:
    """Whether a group has a list of names in its attributes."""
    return name in group.attrs or f"{name}0" in group.attrs


def names(group: Any, name: str, label: str) -> list[str]:
    """A list of names in the attributes, which Keras splits into numbered ones where it is too long for HDF5."""
    chunks = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(chunks)}" in group.attrs:
        chunks.append(group.attrs[f"{name}{len(chunks)}"])
    if any(np.ndim(chunk) != 1 for chunk in chunks):
        raise CheckpointError(f"{label} has no list of names in {name}, so it is damaged or not a file of Keras")
    return [text.decode() if isinstance(text, bytes) else str(text) for chunk in chunks for text in chunk]


def legacy_datasets(root: Any, label: str) -> Iterator[tuple[str, Any]]:
    """The weights of a legacy file, by layer and variable."""
    for layer in names(root, LAYERS, label):
        group = inside(root, layer, label)
        for path in names(group, WEIGHTS, label):
            variable = re.sub(r":\d+$", "", path.rpartition("/")[2])
            yield f"{layer}/{variable}", inside(group, path, label)


def _present(root: Any, label: str) -> Iterator[tuple[str, Any]]:
    """Every dataset that lies in a group `vars`, by its path. No group is there twice, so there is an end to it."""
    import h5py

    seen: set[Any] = set()
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        path, group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            raise CheckpointError(f"{label} holds one group twice, again at {path}, as no file of Keras does")
        seen.add(address)
        below = []
        for key in group:
            child = inside(group, key, label)
            name = f"{path}/{key}" if path else key
            if isinstance(child, h5py.Group):
                below.append((name, child))
            elif path == "vars" or path.endswith("/vars"):
                yield name, child
        waiting.extend(reversed(below))


def inside(group: Any, path: str, label: str) -> Any:
    """What lies at a path, every step of it in this very file."""
    import h5py

    for step in path.split("/"):
        link = group.get(step, getlink=True) if isinstance(group, h5py.Group) and step else None
        if not isinstance(link, h5py.HardLink):
            raise CheckpointError(f"{label} has nothing of its own at {path}, so it is damaged or not a file of Keras")
        group = group[step]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual or _code(group) is None):
        raise CheckpointError(f"{label} keeps no plain numbers of its own at {path}")
    return group


def _code(dataset: Any) -> str | None:
    kind: np.dtype[Any] = dataset.dtype
    if kind.kind == "V" and kind.itemsize == 2 and kind.names is None and kind.subdtype is None:
        return "BF16"  # an opaque type, as h5py keeps it for ml_dtypes
    if kind.kind == "b":
        return "BOOL"
    return PLAIN.get(kind.newbyteorder("<")) if kind.kind in "fiu" else None


def _stored(name: str, dataset: Any, note: str, mapped: Mapped, base: int, path: Path) -> Stored:
    code, shape = _code(dataset), sound(dataset.shape)
    if code is None or shape is None:
        raise CheckpointError(f"{path}: {name} is no array of numbers; nothing was read")
    size, kept = math.prod(shape) * CODES[code].itemsize, dataset.id.get_storage_size()
    if size > max(SMALL, PACKED * kept):
        raise CheckpointError(
            f"{path}: {name} says that it has {size:,} bytes, and {kept:,} of them are there; nothing was read"
        )
    offset = dataset.id.get_offset()
    if dataset.chunks is None and offset is not None and dataset.dtype.newbyteorder("<") == dataset.dtype:
        if base + offset + size > mapped.size:
            raise CheckpointError(f"{path} is cut off: {name} would end behind the end of the file; nothing was read")
        raw = functools.partial(mapped.array, code, shape, base + offset)
    else:
        raw = functools.partial(_chunked, dataset, code, path)
    return Stored(name, code, shape, raw, note)


def _chunked(dataset: Any, code: str, path: Path) -> NDArray[Any]:
    try:
        held = np.asarray(dataset[()])
    except UNREADABLE as error:
        raise CheckpointError(f"{path} is damaged at {dataset.name} ({reason(error)}); nothing was written") from error
    return held.view(CODES[code]) if code in ("BF16", "BOOL") else held.astype(CODES[code], copy=False)


class _Window(io.RawIOBase):
    """A part of a mapped file, as a file of its own."""

    def __init__(self, mapped: Mapped, offset: int, length: int) -> None:
        self.mapped, self.offset, self.length, self.at = mapped, offset, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, to: int, whence: int = 0) -> int:
        self.at = max(0, to + (0, self.at, self.length)[whence])
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        part = self.mapped.bytes(self.offset + self.at, min(len(view), max(0, self.length - self.at)))
        view[: len(part)] = part
        self.at += len(part)
        return len(part)


def _hdf5_in(path: Path, folder: Path) -> tuple[Mapped, int, Any]:
    """The file in memory, where HDF5 begins in it, and what h5py opens: the path, or the member of an archive."""
    mapped = Mapped(path)
    if mapped.bytes(0, 8) == MAGIC:
        return mapped, 0, path
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{path} is not a readable Keras file: it is neither HDF5 nor an archive; nothing was read"
        )
    with zipfile.ZipFile(path) as archive:
        if INSIDE not in archive.namelist():
            raise CheckpointError(f"{path} is an archive without {INSIDE}, so it is not a file of Keras")
        member = archive.getinfo(INSIDE)
        if member.compress_type != zipfile.ZIP_STORED:
            if member.file_size > PACKED * mapped.size:
                raise CheckpointError(f"{path} would unpack to more than {PACKED} times its size; nothing was read")
            with archive.open(member) as packed, (folder / INSIDE).open("wb") as file:
                shutil.copyfileobj(packed, file)
            return Mapped(folder / INSIDE), 0, folder / INSIDE
    offset = data_offset(mapped, member)
    if offset + member.file_size > mapped.size:
        raise CheckpointError(f"{path} is cut off: {INSIDE} would end behind the end of the file; nothing was read")
    return mapped, offset, _Window(mapped, offset, member.file_size)


def data_offset(mapped: Mapped, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member of an archive begin, which only the header before them says."""
    head = mapped.bytes(member.header_offset, 30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise CheckpointError(f"{mapped.path} is damaged at {member.filename}; nothing was read")
    name, extra = struct.unpack("<HH", head[26:30])
    return member.header_offset + 30 + int(name) + int(extra)
