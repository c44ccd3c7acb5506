"""Weights to a file or to shards, one tensor at a time: read back, and only then moved to where they are wanted.

Nothing is forced through to the disk: the system writes it when it likes to, as with `cp`.
"""

from __future__ import annotations

import collections
import contextlib
import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import CheckpointError, DiglotError
from . import digest, hdf5, nan
from .containers import CONTAINERS, size_beside
from .forms import READERS
from .planned import SLAB, Array, Planned, laid
from .stored import Held

THREADS = 4
Tell = Callable[[str, int], None]  # the tensor, and how many of its bytes are done


@dataclass(frozen=True)
class File:
    """One file to write: where, in which form, and what is in it."""

    path: Path
    form: str
    tensors: tuple[Planned, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """How many bytes its tensors have."""
        return sum(each.nbytes for each in self.tensors)


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
                marks = _stream(beside[file.path], file, sources, spoiled, tell)
                _read_back(beside[file.path], file, marks)
        if target.index:
            with _told(target.index[0]):
                beside[target.index[0]].write_text(target.index[1], encoding="utf-8")
    return spoiled


def indexed(files: Sequence[File], listed: Mapping[str, object]) -> str:
    """An index of shards as JSON."""
    size = sum(file.nbytes for file in files)
    return json.dumps({"metadata": {"total_size": size}, "weight_map": dict(listed)}, indent=2) + "\n"


def _stream(
    path: Path, file: File, sources: Sequence[Held], spoiled: list[str], tell: Tell | None
) -> list[list[tuple[int, int]]]:
    """Write a file, and return the length and the checksum of every slab of every tensor.

    Slabs are laid out by several threads, and written in their order by this one.
    """
    threads = _threads()
    free = [np.frombuffer(mmap.mmap(-1, SLAB), np.uint8) for _ in range(threads + 1)]  # given back when it is free
    marks: list[list[tuple[int, int]]] = [[] for _ in file.tensors]
    waiting: collections.deque[tuple[int, Future[tuple[Array, int, bool]], Array]] = collections.deque()
    bad: dict[str, None] = {}

    with CONTAINERS[file.form](path, file.tensors, file.metadata) as put, ThreadPoolExecutor(threads) as pool:

        def written() -> None:
            number, future, memory = waiting.popleft()
            data, mark, spoilt = future.result()
            for block in digest.blocks(data) if len(data) else [data]:
                put(number, block)
            free.append(memory)
            marks[number].append((len(data), mark))
            if spoilt:
                bad[file.tensors[number].name] = None
            if tell is not None:
                tell(file.tensors[number].name, len(data))

        read = 0
        for number, each in enumerate(file.tensors):
            for slab in each.slabs():
                if not free:
                    written()
                memory = free.pop()
                waiting.append((number, pool.submit(_prepared, slab, each.code, memory), memory))
            read += each.nbytes
            if read >= SLAB:
                read = _forgotten(sources)
        while waiting:
            written()
    for each, found in zip(file.tensors, marks, strict=True):
        if sum(length for length, _ in found) != each.nbytes:
            raise CheckpointError(f"{each.name} has another size than was planned; {file.path} was not written")
    spoiled.extend(bad)
    return marks


def _prepared(slab: Array, code: str, memory: Array) -> tuple[Array, int, bool]:
    """The bytes of a slab, their checksum, and whether there is a NaN among them."""
    data, mark, spoilt = laid(slab, memory), 0, False
    for block in digest.blocks(data):
        mark = digest.folded(block, mark)
        spoilt = spoilt or nan.among(block, code)
    return data, mark, spoilt


def _threads() -> int:
    """How many threads lay out slabs: as many as there are processors for this process, and at most four."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(THREADS, known)


def _forgotten(sources: Sequence[Held]) -> int:
    for source in sources:
        source.forget()
    return 0


def _read_back(path: Path, file: File, marks: Sequence[Sequence[tuple[int, int]]]) -> None:
    held = hdf5.read(path, own=True) if file.form in (hdf5.FORM, hdf5.LEGACY) else READERS[file.form](path)
    wanted = {each.name: (each.code, each.shape) for each in file.tensors}
    found = {name: (tensor.code, tensor.shape) for name, tensor in held.tensors.items()}
    if wanted != found:
        raise CheckpointError(f"{file.path} was not written: read back, it has other tensors than were written")

    def same(item: tuple[Planned, Sequence[tuple[int, int]]]) -> str:
        each, slabs = item
        data, begin, right = held.tensors[each.name].flat(), 0, True
        for length, mark in slabs:
            right = right and digest.digest(data[begin : begin + length]) == mark
            begin += length
            if length >= digest.BLOCK:
                held.forget()
        return "" if right else each.name

    with ThreadPoolExecutor(_threads()) as readers:
        read = 0
        for each, wrong in zip(file.tensors, readers.map(same, zip(file.tensors, marks, strict=True)), strict=True):
            if wrong:
                raise CheckpointError(f"{file.path} was not written: read back, {wrong} is another; look at the disk")
            read += each.nbytes
            if read >= SLAB:
                read = _forgotten([held])


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
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise CheckpointError(f"{path} was not written: {reason}; what was there before is untouched") from error


def _unwritable(path: Path, error: OSError | ValueError) -> CheckpointError:
    reason = error.strerror if isinstance(error, OSError) else error
    return CheckpointError(f"{path} cannot be written: {reason}; choose another folder")
