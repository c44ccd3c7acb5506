"""Tensors into a file a slab at a time, and back from it: by several threads, with few slabs in memory at once."""

from __future__ import annotations

import collections
import mmap
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..errors import CheckpointError
from . import digest, hdf5, nan
from .containers import CONTAINERS
from .forms import READERS
from .planned import SLAB, Array, File, Planned, laid, slabs
from .stored import Held

THREADS = 4
UNREAD = 1 << 25  # bytes that are read before their memory is given back
SPAN = 1 << 26  # bytes; a larger tensor is turned out of its file's pages, which the system can take away
Tell = Callable[[str, int], None]  # the tensor, and how many of its bytes are done
Marks = list[list[tuple[int, int]]]  # the length and the checksum of every slab of every tensor


def stream(path: Path, file: File, sources: Sequence[Held], tell: Tell | None) -> tuple[Marks, list[str]]:
    """Write a file. Returns what its slabs are, and the names of the tensors that hold NaN.

    A slab is laid out and written by one thread, while it is in its cache; a form that takes them in order is written
    by the thread that calls. Raises CheckpointError where a tensor has not the size that was planned.
    """
    threads = _threads() + 1  # one more than can run, because only one of them can write
    free = [_memory(SLAB) for _ in range(threads)]  # given back when it is free
    marks: Marks = [[] for _ in file.tensors]
    waiting: collections.deque[tuple[int, Future[tuple[Array, int, bool]], Array]] = collections.deque()
    bad: dict[str, None] = {}

    with CONTAINERS[file.form](path, file.tensors, file.metadata) as sink, ThreadPoolExecutor(threads) as pool:

        def done(number: int, begin: int, slab: Array, memory: Array) -> tuple[Array, int, bool]:
            data = laid(slab, memory)
            found = data, *_looked_at(data, file.tensors[number].code)
            if sink.anywhere:
                sink.put(number, begin, data)
            return found

        def finish() -> None:
            number, future, memory = waiting.popleft()
            data, mark, spoilt = future.result()
            if not sink.anywhere:
                sink.put(number, 0, data)
            free.append(memory)
            marks[number].append((len(data), mark))
            if spoilt:
                bad[file.tensors[number].name] = None
            if tell is not None:
                tell(file.tensors[number].name, len(data))

        reading, spans = _Reading(sources), _Spans(sources)
        for number, each in enumerate(file.tensors):
            begin = turned = 0
            whole = each.whole()
            if not whole.flags.c_contiguous and whole.nbytes <= SPAN:
                while waiting and waiting[0][0] <= spans.oldest:
                    finish()
                whole = spans.read(number, whole)
            for slab in slabs(whole):
                if not free:
                    finish()
                if begin + slab.nbytes > each.nbytes:
                    raise _misplanned(each, file)
                memory = free.pop()
                waiting.append((number, pool.submit(done, number, begin, slab, memory), memory))
                begin += slab.nbytes
                if slab.flags.c_contiguous:
                    reading.passed(slab.nbytes)
                else:  # each slab of a tensor that is turned looks at most of its pages
                    turned += slab.nbytes
            if begin != each.nbytes:
                raise _misplanned(each, file)
            reading.passed(turned)
        while waiting:
            finish()
    return marks, list(bad)


def read_back(path: Path, file: File, marks: Marks) -> None:
    """Raises CheckpointError where a file does not hold what was written into it."""
    held = hdf5.read(path, own=True) if file.form in (hdf5.FORM, hdf5.LEGACY) else READERS[file.form](path)
    wanted = {each.name: (each.code, each.shape) for each in file.tensors}
    found = {name: (tensor.code, tensor.shape) for name, tensor in held.tensors.items()}
    if wanted != found:
        raise CheckpointError(f"{file.path} was not written: read back, it has other tensors than were written")

    reading = _Reading([held])

    def same(item: tuple[Planned, Sequence[tuple[int, int]]]) -> str:
        each, slabs = item
        data, begin = held.tensors[each.name].flat(), 0
        for length, mark in slabs:
            if digest.digest(data[begin : begin + length]) != mark:
                return each.name
            begin += length
            reading.passed(length)
        return ""

    with ThreadPoolExecutor(_threads()) as readers:
        for wrong in readers.map(same, zip(file.tensors, marks, strict=True)):
            if wrong:
                raise CheckpointError(f"{file.path} was not written: read back, {wrong} is another; look at the disk")


class _Spans:
    """Two memories in turn, into which tensors that are turned are read as they lie in their files."""

    def __init__(self, sources: Sequence[Held]) -> None:
        self.files = [file for source in sources for file in source.files]
        self.kept = collections.deque([(-1, _memory(SLAB)), (-1, _memory(SLAB))])

    @property
    def oldest(self) -> int:
        """The number of the tensor whose memory is taken next."""
        return self.kept[0][0]

    def read(self, number: int, whole: Array) -> Array:
        """The same view of memory, or the one that is given where that is not of a file, or has gaps."""
        _, memory = self.kept.popleft()
        if len(memory) < whole.nbytes:
            memory = _memory(whole.nbytes)
        self.kept.append((number, memory))
        found = (file.read(whole, memory) for file in self.files)
        return next((view for view in found if view is not None), whole)


class _Reading:
    """Gives the memory of files back to the system after so many bytes of them have been read, by any thread."""

    def __init__(self, files: Sequence[Held]) -> None:
        self.files, self.kept, self.lock = files, 0, threading.Lock()

    def passed(self, length: int) -> None:
        """So many bytes more are not needed again."""
        with self.lock:
            self.kept += length
            if self.kept < UNREAD:
                return
            self.kept = 0
        for file in self.files:
            file.forget()


def _looked_at(data: Array, code: str) -> tuple[int, bool]:
    """The checksum of bytes, and whether there is a NaN among them."""
    mark, spoilt = 0, False
    for block in digest.blocks(data):
        mark = digest.folded(block, mark)
        spoilt = spoilt or nan.among(block, code)
    return mark, spoilt


def _memory(length: int) -> Array:
    return np.frombuffer(mmap.mmap(-1, length), np.uint8)


def _misplanned(each: Planned, file: File) -> CheckpointError:
    return CheckpointError(f"{each.name} has another size than was planned; {file.path} was not written")


def _threads() -> int:
    """How many threads can run at once: as many as there are processors for this process, and at most four."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(THREADS, known)
