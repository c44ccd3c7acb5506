"""The forms of files by what is in them and by what their names say, and the reader of each."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from .. import shards
from ..errors import CheckpointError
from . import hdf5, safetensors, sharded, torch_file
from .stored import Held

READERS: dict[str, Callable[[Path], Held]] = {
    safetensors.FORM: safetensors.read, torch_file.FORM: torch_file.read, hdf5.FORM: hdf5.read, hdf5.LEGACY: hdf5.read,
    hdf5.ARCHIVE: hdf5.read,
}  # fmt: skip
# The longest suffix that fits says the form.
SUFFIXES = {
    ".safetensors.index.json": safetensors.FORM, ".bin.index.json": torch_file.FORM, ".weights.json": hdf5.FORM,
    ".safetensors": safetensors.FORM, ".weights.h5": hdf5.FORM, ".keras": hdf5.ARCHIVE, ".hdf5": hdf5.LEGACY,
    ".h5": hdf5.LEGACY, ".pth": torch_file.FORM, ".bin": torch_file.FORM, ".pt": torch_file.FORM,
}  # fmt: skip
FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras"}
SIDES = {"safetensors": "torch", "pt": "torch", "weights.h5": "keras", "h5": "keras", "keras": "keras"}


def suffix_of(path: Path) -> str:
    """The suffix that says the form of a file to write. Raises CheckpointError for one that says none."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise CheckpointError(f"{path} must end in {', '.join(SUFFIXES)}, which say in which form weights are written")


def read(path: Path) -> Held | None:
    """What a file, the shards of an index or those in a folder hold; None for PyTorch's form before version 1.6.

    Raises CheckpointError for what cannot be read, with the reason.
    """
    if os.path.isdir(path):
        path = shards.in_folder(path)
    if not os.path.isfile(path):
        raise CheckpointError(f"{path} is not a file; nothing was converted")
    if path.name.endswith((shards.INDEX, sharded.KERAS_INDEX)):
        return sharded.read(path, READERS[form_of_shards(path)])
    shards.whole(path)
    form = form_of(path)
    return None if form is None else READERS[form](path)


def form_of_shards(index: Path) -> str:
    """The form of the shards of an index."""
    return next((form for suffix, form in SUFFIXES.items() if index.name.endswith(suffix)), safetensors.FORM)


def form_of(path: Path) -> str | None:
    """The form of a file by its content; None where only PyTorch itself may be able to read it."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); nothing was read") from error
    if not start:
        raise CheckpointError(f"{path} is empty; nothing was read")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a pointer of Git LFS and not the file itself; fetch that with git lfs pull")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise CheckpointError(f"{path} is a web page and not weights; download the file itself")
    if start.startswith(hdf5.MAGIC):
        return hdf5.FORM
    if zipfile.is_zipfile(path):
        return torch_file.FORM if torch_file.is_archive(path) else hdf5.ARCHIVE
    if start.startswith(b"PK\x03\x04"):
        raise CheckpointError(f"{path} is cut off or damaged: it begins as an archive and has no end; nothing was read")
    if path.name.endswith(".safetensors") or start[8:9] == b"{":
        return safetensors.FORM
    if path.name.endswith((".h5", ".hdf5", ".keras")):
        raise CheckpointError(
            f"{path} is not a readable Keras file: it is neither HDF5 nor an archive; nothing was read"
        )
    return None
