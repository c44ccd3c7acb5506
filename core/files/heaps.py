"""The global heaps of an HDF5 file, in which texts lie: the library never comes back from an object of length zero.

They are looked at before any text is asked for: everywhere in a small file, and in a large one wherever the numbers of
its datasets do not lie.
"""

from __future__ import annotations

from typing import Any

from ..errors import CheckpointError
from .stored import Mapped

SIGNATURE = b"GCOL"
HEAD = 16  # bytes of a collection, and of each object in it, before what they hold
PIECE, SMALL = 1 << 24, 1 << 26


def check(file: Any, mapped: Mapped, base: int) -> None:
    """Raises CheckpointError for a heap whose objects do not fill it."""
    at, numbers = base, sorted(_numbers(file, base)) if mapped.size > SMALL else []
    for begin, end in [*numbers, (mapped.size, mapped.size)]:
        while at < begin:
            piece = mapped.bytes(at, min(PIECE, begin - at))
            found = piece.find(SIGNATURE)
            while found >= 0:
                _collection(mapped, at + found)
                found = piece.find(SIGNATURE, found + 1)
            at += max(1, len(piece) - len(SIGNATURE) + 1) if len(piece) == PIECE else max(1, len(piece))
        at = max(at, end)


def _numbers(file: Any, base: int) -> list[tuple[int, int]]:
    """Where the datasets lie that are in one piece."""
    import h5py  # type: ignore[import-untyped]

    found: list[tuple[int, int]] = []
    seen: set[Any] = set()
    waiting = [file]
    while waiting:
        group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            child = group[key]
            if isinstance(child, h5py.Group):
                waiting.append(child)
            elif isinstance(child, h5py.Dataset) and (offset := child.id.get_offset()) is not None:
                found.append((base + offset, base + offset + child.id.get_storage_size()))
    return found


def _collection(mapped: Mapped, begin: int) -> None:
    head = mapped.bytes(begin, HEAD)
    size = int.from_bytes(head[8:], "little")
    if head[4:5] != b"\x01" or size > mapped.size - begin:
        return  # four letters among other bytes, or a heap that the library refuses by itself
    held, at = mapped.bytes(begin, size), HEAD
    while at + HEAD <= size:
        number, length = int.from_bytes(held[at : at + 2], "little"), int.from_bytes(held[at + 8 : at + HEAD], "little")
        step = length if number == 0 else HEAD + -(-length // 8) * 8
        if step < HEAD or step > size - at:
            raise CheckpointError(f"{mapped.path} is damaged: a text in it has no end; nothing was read")
        at += step
