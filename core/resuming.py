"""What a checkpoint of a training says of it, and whether it is of the same one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import CheckpointError


def folder_for(folder: Any) -> Path | None:
    """The folder of a training's checkpoint, made if need be. Raises CheckpointError where it cannot be."""
    if folder is None:
        return None
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be made: {error.strerror}; choose another folder") from error
    return path


def same(path: Path, kept: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises CheckpointError, with what differs first, where a checkpoint is of another training than is asked for."""
    found = next(_differing("", kept, json.loads(json.dumps(asked))), None)
    if found:
        name, one, other = found
        raise CheckpointError(
            f"{path} is of another training: its {name} is {one!r:.60} and not {other!r:.60}; choose another folder"
        )


def _differing(name: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """The names of what is not the same, as a path, with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from _differing(f"{name}.{key}".lstrip("."), one.get(key), other.get(key))
    elif one != other:
        yield name, one, other
