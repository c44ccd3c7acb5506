"""Shards with an index: those of PyTorch's libraries, and those of Keras since 3.11."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import shards
from ..errors import CheckpointError
from .hdf5 import FORM as KERAS
from .planned import Planned
from .safetensors import unique
from .stored import Held, Stored

KERAS_INDEX = ".weights.json"


def read(index: Path, reader: Callable[[Path], Held]) -> Held:
    """What all the shards of an index hold, those tensors that it lists.

    Raises CheckpointError where a shard is missing, or does not hold what the index says.
    """
    listed = _keras(index) if index.name.endswith(KERAS_INDEX) else shards.shards_of(index)
    files = list(listed)
    if absent := [file for file in files if not os.path.isfile(index.parent / file)]:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise CheckpointError(f"{index} names {absent[0]}{more} of {len(files)} shards, not there; nothing was read")
    found: dict[str, Stored] = {}
    held = []
    for file, names in listed.items():
        part = reader(index.parent / file)
        for name in names:
            inside = {name: part.tensors[name]} if name in part.tensors else _below(part, name)
            if not inside:
                raise CheckpointError(f"{index} says that {file} holds {name}, and it does not; nothing was read")
            if twice := set(inside) & set(found):
                raise CheckpointError(f"{index}: {min(twice)} is in two shards; nothing was read")
            found |= inside
        held.append(part)
    metadata = held[0].metadata if held else {}
    return Held(
        f"the weights in {index}", held[0].form, found, metadata, [file for part in held for file in part.files]
    )


def _below(part: Held, group: str) -> dict[str, Stored]:
    """The tensors in a group, `/layers/dense/vars`, as Keras's index lists them."""
    prefix = f"{group.strip('/')}/"
    return {name: tensor for name, tensor in part.tensors.items() if name.startswith(prefix)}


def _keras(index: Path) -> dict[str, list[str]]:
    held = shards.json_of(index, unique)
    listed = held.get("weight_map") if isinstance(held, dict) else None
    if not isinstance(listed, dict) or not listed:
        raise CheckpointError(f"{index} is no index of shards: it has no weight_map of names; nothing was read")
    found: dict[str, list[str]] = {}
    for group, files in listed.items():
        for file in files if isinstance(files, list) else [files]:
            if not isinstance(file, str) or not shards.is_plain(file) or not file.endswith(".h5"):
                raise CheckpointError(f"{index} names {file!r}, which is no shard in its own folder; nothing was read")
            found.setdefault(file, []).append(str(group))
    return found


def parted(tensors: Sequence[Planned], limit: int) -> list[list[Planned]]:
    """Tensors in their order in parts of at most `limit` bytes each; a larger tensor has a part for itself."""
    parts: list[list[Planned]] = [[]]
    size = 0
    for each in tensors:
        if parts[-1] and size + each.nbytes > limit:
            parts.append([])
            size = 0
        parts[-1].append(each)
        size += each.nbytes
    return parts


def names(path: Path, form: str, count: int) -> tuple[list[Path], Path]:
    """The names of so many shards beside the name of a whole file, and that of their index."""
    text = path.name
    if form == KERAS:
        stem = text.removesuffix(KERAS_INDEX).removesuffix(".weights.h5")
        return [path.with_name(f"{stem}_{number:05}.weights.h5") for number in range(count)], path.with_name(
            stem + KERAS_INDEX
        )
    text = text.removesuffix(shards.INDEX)
    stem, suffix = os.path.splitext(text)
    if suffix not in shards.SUFFIXES:
        raise CheckpointError(
            f"{path}: shards are written as {', '.join(shards.SUFFIXES)} or .weights.h5, not {suffix}"
        )
    numbered = [path.with_name(f"{stem}-{number + 1:05}-of-{count:05}{suffix}") for number in range(count)]
    return numbered, path.with_name(text + shards.INDEX)


def weight_map(form: str, files: Sequence[tuple[Path, Sequence[Planned]]]) -> dict[str, object]:
    """Which shard holds what, as an index lists it: tensors in PyTorch, groups in Keras."""
    found: dict[str, list[str]] = {}
    for path, tensors in files:
        for each in tensors:
            name = f"/{each.name.rpartition('/')[0]}" if form == KERAS else each.name
            if path.name not in found.setdefault(name, []):
                found[name].append(path.name)
    return {name: held[0] if len(held) == 1 else held for name, held in found.items()}
