"""One tensor in a file, not read yet, and the file itself as memory that the system pages in and out."""

from __future__ import annotations

import math
import mmap
import os
import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError

# The raw type of every kind of number. NumPy lacks bfloat16 and the 8-bit floats; their bits are kept as integers.
CODES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2"),
    "F8_E4M3": np.dtype("u1"), "F8_E5M2": np.dtype("u1"), "BOOL": np.dtype("u1"),
    "I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"), "U32": np.dtype("<u4"), "U16": np.dtype("<u2"), "U8": np.dtype("u1"),
}  # fmt: skip
PLAIN = {dtype: code for code, dtype in CODES.items() if code not in ("BF16", "F8_E4M3", "F8_E5M2", "BOOL")}
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
AXES = 32
LARGEST = 2**62
LINE = 120
ERRNO = re.compile(r"\berrno = (\d+)")


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor in a file. `raw` reads it, in the type of CODES, as a view of the file where that can be."""

    name: str
    code: str
    shape: tuple[int, ...]
    raw: Callable[[], NDArray[Any]]
    note: str = ""

    @property
    def nbytes(self) -> int:
        """Its size in bytes, without gaps."""
        return math.prod(self.shape) * CODES[self.code].itemsize

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which NumPy has its numbers: float32 for bfloat16."""
        return np.dtype("<f4") if self.code == "BF16" else np.dtype("?") if self.code == "BOOL" else CODES[self.code]

    def flat(self) -> NDArray[Any]:
        """Its bytes in a row, in C's order."""
        return np.ascontiguousarray(self.raw()).reshape(-1).view(np.uint8)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if self.code.startswith("F8"):
            raise CheckpointError(f"{self.name} is stored as {self.code}, which NumPy has no type for")
        held = self.raw()
        if self.code == "BF16":
            held = (held.astype("<u4") << np.uint32(16)).view("<f4")
        elif self.code == "BOOL":
            held = held.view("?")
        return np.array(held, dtype=dtype)


@dataclass
class Held:
    """What a file holds. `form` is a word of core/files/forms.py; `files` are paged out by `forget`.

    `notes` are sentences on what of the file was not taken, and `doubts` those on what could be meant as well.
    """

    label: str
    form: str
    tensors: dict[str, Stored]
    metadata: dict[str, str] = field(default_factory=dict)
    files: list[Mapped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Give the memory of what was read back to the system."""
        for file in self.files:
            file.forget()


class Mapped:
    """A file in memory, of which only what is looked at is read. Raises CheckpointError for what is no file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not os.path.isfile(path):
                raise CheckpointError(f"{path} is not a file; nothing was read")
            self.file = path.open("rb", buffering=0)
            weakref.finalize(self, self.file.close)
            self.size = os.fstat(self.file.fileno()).st_size
            self.memory = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else None
        except (OSError, ValueError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{path} cannot be read ({error}); nothing was read") from error

    def bytes(self, offset: int, length: int) -> bytes:
        """A part of the file; shorter where the file ends."""
        return bytes(self.memory[offset : offset + length]) if self.memory is not None else b""

    def array(
        self, code: str, shape: tuple[int, ...], offset: int, strides: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        """A view of the file. The caller has checked that all of it lies inside."""
        dtype = CODES[code]
        if self.memory is None or not math.prod(shape):
            return np.empty(shape, dtype)
        return np.ndarray(shape, dtype, self.memory, offset, strides)

    def read(self, view: NDArray[Any], memory: NDArray[Any]) -> NDArray[Any] | None:
        """The same view of a copy in `memory` of that part of the file; None where it is not of this file.

        That is quicker than to look at pages of the file in another order. One thread may do so at a time.
        """
        if self.memory is None:
            return None
        low, high = _bounds(view)
        offset = low - np.frombuffer(self.memory, np.uint8).ctypes.data
        if offset < 0 or offset + high - low > self.size or high - low > len(memory):
            return None
        self.file.seek(offset)
        rest = memoryview(memory.data)[: high - low]
        while len(rest):
            if not (count := self.file.readinto(rest)):
                raise CheckpointError(f"{self.path} became shorter while it was read")
            rest = rest[count:]
        return np.ndarray(view.shape, view.dtype, memory.data, view.ctypes.data - low, view.strides)

    def forget(self) -> None:
        """Give the pages back; they are read again when they are looked at again."""
        if self.memory is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.memory.madvise(mmap.MADV_DONTNEED)


def _bounds(view: NDArray[Any]) -> tuple[int, int]:
    """The addresses of the first byte of a view, and of that behind its last one."""
    steps = [(size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True)]
    begin = view.ctypes.data
    return begin + sum(min(0, step) for step in steps), begin + sum(max(0, step) for step in steps) + view.itemsize


def reason(error: BaseException) -> str:
    """What an exception says, in a line that is not too long for a sentence."""
    if number := ERRNO.search(str(error)):  # of HDF5's library, which says it amid a list of its own variables
        return os.strerror(int(number[1]))
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    lines = str(error).splitlines()
    text = lines[0] if lines and lines[0].strip() else type(error).__name__
    return text if len(text) <= LINE else f"{text[:LINE]}…"


def sound(shape: object) -> tuple[int, ...] | None:
    """A shape that an array can have, or None."""
    if not isinstance(shape, list | tuple) or len(shape) > AXES:
        return None
    if any(type(size) is not int or size < 0 for size in shape):
        return None
    return tuple(shape) if math.prod(max(size, 1) for size in shape) < LARGEST else None
