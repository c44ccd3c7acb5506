"""Weights in the HDF5 files of Keras, old and new, and in a `.keras` archive. Links out of a file are refused.

A tensor of a file of Keras 3 is named by its dataset's path, `layers/dense/vars/0`; one of a legacy file, whose
attributes list them, by its layer and its own name, `dense/kernel`, or by all of its path where a layer has several
of one name, `multi_head_attention/query/kernel`.
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
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from . import apart, heaps
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


def read(path: Path, own: bool = False) -> Held:
    """The tensors of a `.weights.h5`, a legacy `.h5` or a `.keras` file by name.

    The library of HDF5 looks into it in a process apart, unless this one has written it (`own`). Raises
    CheckpointError for a damaged file, and for one that would unpack to far more than it is.
    """
    try:
        mapped, base, length = _hdf5_in(path)
    except UNREADABLE as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not a readable Keras file ({reason(error)}); nothing was read") from error
    where: dict[str, Any] = {"path": str(mapped.path.absolute()), "base": base, "length": length, "label": str(path)}
    said = listing(**where) if own else apart.ask("hdf5", "listing", **where)
    tensors = {name: _stored(name, entry, mapped, where) for name, entry in said["tensors"].items()}
    archive = bool(base) or mapped.path != path
    form = LEGACY if said["legacy"] else ARCHIVE if archive else FORM
    return Held(f"the weights in {path}", form, tensors, {}, [mapped])


def listing(path: str, base: int, length: int, label: str) -> dict[str, Any]:
    """Every tensor of a file by name: its kind, shape, place in the file or None, the layer's name and its own path.

    The HDF5 begins at `base` of the file. Raises CheckpointError, and whatever h5py makes of a damaged file.
    """
    mapped = Mapped(Path(path))
    with _opened(mapped, base, length) as file:
        heaps.check(file, mapped, base)
        legacy, found = datasets(file, label)
        return {"legacy": legacy, "tensors": {name: _entry(name, each, label) for name, each in found.items()}}


def numbers(path: str, base: int, length: int, label: str, at: str, to: str) -> dict[str, Any]:
    """Write the numbers of a dataset into another file."""
    with _opened(Mapped(Path(path)), base, length) as file:
        dataset = file[at]
        held = np.asarray(dataset[()])
        code = _code(dataset)
        raw = held if code in ("BF16", "BOOL") or code is None else held.astype(CODES[code], copy=False)
        raw.tofile(to)
        return {"bytes": raw.nbytes}


def _opened(mapped: Mapped, base: int, length: int) -> Any:
    import h5py  # type: ignore[import-untyped]

    return h5py.File(_Window(mapped, base, length) if base else mapped.path, "r")


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
    """The weights of a legacy file, by layer and variable, or by the whole path where that names several of a layer."""
    for layer in names(root, LAYERS, label):
        group = inside(root, layer, label)
        paths = names(group, WEIGHTS, label)
        short = [_variable(path) for path in paths]
        for path, variable in zip(paths, short, strict=True):
            whole = re.sub(r":\d+$", "", path) if short.count(variable) > 1 else variable
            yield whole if whole.startswith(f"{layer}/") else f"{layer}/{whole}", inside(group, path, label)


def _variable(path: str) -> str:
    return re.sub(r":\d+$", "", path.rpartition("/")[2])


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


def _entry(name: str, dataset: Any, label: str) -> list[Any]:
    code, shape = _code(dataset), sound(dataset.shape)
    if code is None or shape is None:
        raise CheckpointError(f"{label}: {name} is no array of numbers; nothing was read")
    size, kept = math.prod(shape) * CODES[code].itemsize, dataset.id.get_storage_size()
    if size > max(SMALL, PACKED * kept):
        raise CheckpointError(
            f"{label}: {name} says that it has {size:,} bytes, and {kept:,} of them are there; nothing was read"
        )
    note = dataset.parent.attrs.get("name", "")
    plain = dataset.chunks is None and dataset.dtype.newbyteorder("<") == dataset.dtype
    offset = dataset.id.get_offset() if plain else None
    return [code, shape, offset, note if isinstance(note, str) else "", dataset.name]


def _stored(name: str, entry: Sequence[Any], mapped: Mapped, where: dict[str, Any]) -> Stored:
    code, given, offset, note, at = entry
    shape = sound(given)
    if code not in CODES or shape is None:
        raise CheckpointError(f"{where['label']}: {name} is no array of numbers; nothing was read")
    size = math.prod(shape) * CODES[code].itemsize
    raw: Callable[[], NDArray[Any]] = functools.partial(_unpacked, at, code, shape, mapped, where)
    if offset is not None:
        begin = where["base"] + offset
        if offset < 0 or begin + size > mapped.size:
            raise CheckpointError(
                f"{where['label']} is cut off: {name} would end behind the end of the file; nothing was read"
            )
        raw = functools.partial(mapped.array, code, shape, begin)
    return Stored(name, code, shape, raw, note)


def _unpacked(at: str, code: str, shape: tuple[int, ...], mapped: Mapped, where: dict[str, Any]) -> NDArray[Any]:
    """A dataset in chunks, or in another byte order. `mapped` keeps what an archive was unpacked to."""
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder, "numbers")
        apart.ask("hdf5", "numbers", **where, at=at, to=str(to))
        held = np.fromfile(to, CODES[code])
    if held.size != math.prod(shape):
        raise CheckpointError(f"{where['label']} is damaged at {at}: it has not as many numbers as it says")
    return held.reshape(shape)


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


def _hdf5_in(path: Path) -> tuple[Mapped, int, int]:
    """The file in memory, and where HDF5 begins in it and how long it is: all of it, or the member of an archive."""
    mapped = Mapped(path)
    if mapped.bytes(0, 8) == MAGIC:
        return mapped, 0, mapped.size
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
            return _extracted(archive, member)
    offset = data_offset(mapped, member)
    if offset + member.file_size > mapped.size:
        raise CheckpointError(f"{path} is cut off: {INSIDE} would end behind the end of the file; nothing was read")
    return mapped, offset, member.file_size


def _extracted(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[Mapped, int, int]:
    """The member in a folder of its own, which goes when nothing is read from it any more."""
    folder = tempfile.mkdtemp()
    try:
        with archive.open(member) as packed, Path(folder, INSIDE).open("wb") as file:
            shutil.copyfileobj(packed, file)
        mapped = Mapped(Path(folder, INSIDE))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(mapped, shutil.rmtree, folder, ignore_errors=True)
    return mapped, 0, mapped.size


def data_offset(mapped: Mapped, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member of an archive begin, which only the header before them says."""
    head = mapped.bytes(member.header_offset, 30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise CheckpointError(f"{mapped.path} is damaged at {member.filename}; nothing was read")
    name, extra = struct.unpack("<HH", head[26:30])
    return member.header_offset + 30 + int(name) + int(extra)
