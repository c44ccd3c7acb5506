"""The files of a checkpoint in a folder: whole or in shards with an index, and the configuration beside them.

All of it is read as data. An index names files of its own folder and no others.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .files.safetensors import unique

INDEX = ".index.json"
LARGEST = 1 << 28  # bytes of an index, which has a hundred for each tensor
CONFIG = "config.json"
FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
SUFFIXES = (".safetensors", ".bin")
SHARD = re.compile(r"-\d+-of-(\d+)(?:\.safetensors|\.bin)$")
MODULES = "modules.json"  # of a folder that sentence-transformers wrote
POOLING = ("1_Pooling", CONFIG)
SENTENCES = ("Transformer", "Pooling", "Normalize")


def in_folder(folder: Path) -> Path:
    """The file of weights in a folder, or the index of its shards."""
    for name in FILES:
        if os.path.isfile(folder / name):
            return folder / name
    raise CheckpointError(f"{folder} holds none of {', '.join(FILES)}; nothing was loaded")


def shards_of(index: Path) -> dict[str, list[str]]:
    """The names of the weights in each shard, by the name of its file.

    Raises CheckpointError where the index is damaged, names a file elsewhere, or one that is not there.
    """
    held = json_of(index, unique)
    listed = held.get("weight_map") if isinstance(held, dict) else None
    if not isinstance(listed, dict) or not listed or not all(isinstance(file, str) for file in listed.values()):
        raise CheckpointError(f"{index} is no index of shards: it has no weight_map of names; nothing was loaded")
    found: dict[str, list[str]] = {}
    for name, file in listed.items():
        found.setdefault(file, []).append(name)
    for file in found:
        if not is_plain(file) or not file.endswith(SUFFIXES):
            raise CheckpointError(f"{index} names {file!r}, which is no shard in its own folder; nothing was loaded")
    return found


def complete(index: Path) -> None:
    """Raises CheckpointError where shards of an index are not beside it."""
    files = list(shards_of(index))
    if absent := [file for file in files if not os.path.isfile(index.parent / file)]:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise CheckpointError(f"{index} names {absent[0]}{more} of {len(files)} shards, not there; nothing was loaded")


def is_plain(name: str) -> bool:
    """Whether this is the name of a file and leads to no other folder, on any system."""
    return bool(name) and not re.search(r"[/\\:\0]", name) and name not in (".", "..")


def whole(path: Path) -> None:
    """Raises CheckpointError for a shard that is given by itself."""
    if (found := SHARD.search(path.name)) and found[1].lstrip("0") != "1":
        raise CheckpointError(f"{path} is one of {found[1].lstrip('0')} shards; give their folder or their index")


def configuration(path: Path) -> dict[str, Any]:
    """The configuration beside a file of weights that its library wrote; empty where there is none.

    In a folder of sentence-transformers, `sentence_head` says how the vectors of tokens become one.
    """
    if path.name not in FILES or not os.path.isfile(path.parent / CONFIG):
        return {}
    config = json_of(path.parent / CONFIG)
    if not isinstance(config, dict):
        raise CheckpointError(f"{path.parent / CONFIG} is no configuration but a {type(config).__name__}")
    return {**config, "sentence_head": _sentence_head(path.parent)}


def _sentence_head(folder: Path) -> str | None:
    if not os.path.isfile(folder / MODULES) or not os.path.isfile(folder.joinpath(*POOLING)):
        return None
    held, pooling = json_of(folder / MODULES), json_of(folder.joinpath(*POOLING))
    if not isinstance(held, list) or not isinstance(pooling, dict):
        raise CheckpointError(f"{folder / MODULES} and the configurations that it names are not sentence-transformers'")
    modules = [str(item.get("type")).rpartition(".")[2] for item in held if isinstance(item, dict)]
    if modules != list(SENTENCES[: len(modules)]):
        return " then ".join(modules)
    modes = [found[1] for key, value in pooling.items() if value and (found := re.match(r"pooling_mode_(\w+)", key))]
    mode = "+".join(modes) or str(pooling.get("pooling_mode"))
    return f"{'unit_' if len(modules) == len(SENTENCES) else ''}{mode.removesuffix('_tokens')}"


def json_of(path: Path, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """What a JSON file holds, `pairs` making each object of it. Raises CheckpointError where it cannot be read."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        return json.loads(path.read_bytes(), object_pairs_hook=pairs)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not readable JSON ({error}); nothing was loaded") from error
