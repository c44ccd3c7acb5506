"""What a checkpoint of a training says of it, and whether it is of the same one."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    """Raises CheckpointError, with what differs, where a checkpoint is of another training than the one asked for."""
    for name in {**kept, **asked}:
        one, other = kept.get(name), json.loads(json.dumps(asked.get(name)))
        if one != other:
            told = (
                _first(one, other)
                if isinstance(one, dict) and isinstance(other, dict)
                else f"{one!r} and not {other!r}"
            )
            raise CheckpointError(
                f"{path} is of another training: its {name} is {told}; choose another folder, or ask for the same"
            )


def _first(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    for name in {**one, **other}:
        if one.get(name) != other.get(name):
            return f"{name} {one.get(name)!r} and not {other.get(name)!r}"
    return "another"
