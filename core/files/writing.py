"""Weights to a file or to shards, one tensor at a time: read back, and only then moved to where they are wanted.

Nothing is forced through to the disk: the system writes it when it likes to, as with `cp`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError, DiglotError
from . import streaming
from .containers import size_beside
from .planned import File
from .stored import Held, reason
from .streaming import Tell


@dataclass(frozen=True)
class Files:
    """What is written together: the files, and for shards an index, which comes last."""

    files: tuple[File, ...]
    index: tuple[Path, str] | None = None

    @property
    def paths(self) -> list[Path]:
        """Every file, the index last."""
        return [file.path for file in self.files] + ([self.index[0]] if self.index else [])


def check(target: Files, force: bool) -> None:
    """Raises CheckpointError where a file is in the way, or where there is no room for all of it."""
    for path in target.paths:
        try:
            real = Path(os.path.realpath(path))
            if real.is_symlink():  # after every link has been followed
                raise CheckpointError(f"{path} is a link that leads back to itself, so nothing was written; remove it")
            if real.exists() and not real.is_file():
                raise CheckpointError(f"{path} is not an ordinary file, so nothing was written; choose another name")
            if real.exists() and not force:
                raise CheckpointError(
                    f"{path} is there already, and was left as it is; choose another name, or --force"
                )
            os.stat(real.parent)
        except (OSError, ValueError) as error:
            if isinstance(error, DiglotError):
                raise
            raise _unwritable(path, error) from error
    needed = sum(file.nbytes + size_beside(file.tensors) for file in target.files)
    folder = Path(os.path.realpath(target.paths[0])).parent
    if (free := shutil.disk_usage(folder).free) < needed:
        raise CheckpointError(
            f"{target.paths[0]} needs {needed / 1e6:,.0f} MB, and {folder} has {free / 1e6:,.0f} MB left; "
            "nothing was written"
        )


def write(target: Files, sources: Sequence[Held], tell: Tell | None = None) -> list[str]:
    """Write all files, complete or none of them, and return the names of the tensors that hold NaN.

    Raises CheckpointError where they cannot be written, or are not read back as they were written.
    """
    spoiled: list[str] = []
    with _beside(target.paths) as beside:
        for file in target.files:
            with _told(file.path):
                marks, bad = streaming.stream(beside[file.path], file, sources, tell)
                streaming.read_back(beside[file.path], file, marks)
                spoiled.extend(bad)
        if target.index:
            with _told(target.index[0]):
                beside[target.index[0]].write_text(target.index[1], encoding="utf-8")
    return spoiled


def indexed(files: Sequence[File], listed: Mapping[str, object]) -> str:
    """An index of shards as JSON."""
    size = sum(file.nbytes for file in files)
    return json.dumps({"metadata": {"total_size": size}, "weight_map": dict(listed)}, indent=2) + "\n"


@contextlib.contextmanager
def _beside(paths: Sequence[Path]) -> Iterator[dict[Path, Path]]:
    """An empty file beside each of the paths, which take their places together, or go."""
    made: dict[Path, Path] = {}
    moved: list[Path] = []
    try:
        for path in paths:
            real = Path(os.path.realpath(path))  # a link stays, and what it points to is replaced
            try:
                handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name[:40]}.")
            except (OSError, ValueError) as error:
                raise _unwritable(path, error) from error
            made[path] = Path(name)
            os.close(handle)
        yield made
        umask = os.umask(0)
        os.umask(umask)
        for path, beside in made.items():
            real = Path(os.path.realpath(path))
            fresh = not real.exists()
            os.chmod(beside, 0o666 & ~umask)
            os.replace(beside, real)
            if fresh:
                moved.append(real)
        moved.clear()
    except OSError as error:
        raise CheckpointError(f"{paths[-1]} was not written: {error.strerror or error}") from error
    finally:
        for left in (*made.values(), *moved):
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, DiglotError):
            raise
        raise CheckpointError(f"{path} was not written: {reason(error)}; what was there before is untouched") from error


def _unwritable(path: Path, error: OSError | ValueError) -> CheckpointError:
    said = error.strerror if isinstance(error, OSError) else error
    return CheckpointError(f"{path} cannot be written: {said}; choose another folder")
