"""The files that weights are written to: one, or shards with an index."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import CheckpointError, SpecError
from . import hdf5, sharded
from .forms import SUFFIXES, suffix_of
from .planned import File, Planned
from .writing import Files, indexed

UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
         "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
INDEXED = (".index.json", sharded.KERAS_INDEX)


def files(
    path: Path,
    tensors: Sequence[Planned],
    max_shard_size: int | str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Files:
    """A file of these tensors, or shards where they are more than `max_shard_size` bytes or the path is of an index.

    Raises CheckpointError for a form that has no shards.
    """
    suffix = suffix_of(path)
    form, said = SUFFIXES[suffix], dict(metadata or {})
    parts = [list(tensors)]
    if max_shard_size is not None or suffix.endswith(INDEXED):
        if form in (hdf5.ARCHIVE, hdf5.LEGACY):
            raise CheckpointError(f"{path}: {suffix} has no shards; write .weights.h5, .safetensors or .bin")
        parts = sharded.parted(tensors, in_bytes(max_shard_size if max_shard_size is not None else "5GB"))
    if len(parts) == 1 and not suffix.endswith(INDEXED):
        return Files((File(path, form, tuple(tensors), said),))
    paths, index = sharded.names(path, form, len(parts))
    held = tuple(File(name, form, tuple(part), said) for name, part in zip(paths, parts, strict=True))
    listed = sharded.weight_map(form, list(zip(paths, parts, strict=True)))
    return Files(held, (index, indexed(held, listed)))


def in_bytes(size: int | str) -> int:
    """`500MB` as a number of bytes. Raises SpecError for what is no size."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(size))
    if found is None or found[2].upper() not in UNITS or float(found[1]) * UNITS[found[2].upper()] < 1:
        raise SpecError(f"a shard has a size such as 500MB or 2GB, not {size!r}")
    return int(float(found[1]) * UNITS[found[2].upper()])
