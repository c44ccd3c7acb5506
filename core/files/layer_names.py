"""The name that Keras 3 writes beside a layer's variables, read out of the bytes of the file.

It is a text of any length in a global heap, for which the HDF5 library takes as much memory as a damaged file says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .stored import Mapped

KEY = b"name"
ATTRIBUTE, CONTINUED = 0x0C, 0x10
TEXT, COLLECTION = 16, b"GCOL"  # bytes of the reference to a text, and what a heap begins with
LONGEST = 1 << 12
BLOCKS, OBJECTS = 64, 1 << 16


def name_of(group: Any, mapped: Mapped, base: int) -> str:
    """The name of the layer that a group `vars` is of; empty where there is none that could be one."""
    import h5py  # type: ignore[import-untyped]

    address = base + int(h5py.h5o.get_info(group.id).addr)
    for kind, data in _messages(mapped, base, address):
        if kind == ATTRIBUTE and (reference := _reference(data)) is not None:
            return _text(mapped, base, reference)
    return ""


def _messages(mapped: Mapped, base: int, address: int) -> Iterator[tuple[int, bytes]]:
    """The messages of an object header of the first version, as Keras writes it."""
    head = mapped.bytes(address, 16)
    if len(head) < 16 or head[0] != 1:
        return
    blocks = [(address + 16, int.from_bytes(head[8:12], "little"))]
    for begin, length in blocks:
        held, at = mapped.bytes(begin, min(length, 1 << 16)), 0
        while at + 8 <= len(held):
            kind, size = int.from_bytes(held[at : at + 2], "little"), int.from_bytes(held[at + 2 : at + 4], "little")
            data = held[at + 8 : at + 8 + size]
            if kind == CONTINUED and len(data) >= 16 and len(blocks) < BLOCKS:
                blocks.append((base + int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")))
            yield kind, data
            at += 8 + size


def _reference(data: bytes) -> bytes | None:
    """What an attribute `name` that holds one text refers to; None for another attribute."""
    if len(data) < 8 or data[0] not in (1, 3):
        return None
    padded = data[0] == 1
    sizes = [int.from_bytes(data[at : at + 2], "little") for at in (2, 4, 6)]
    at = 8 if padded else 9
    name = data[at : at + sizes[0]].rstrip(b"\0")
    at += sum(-(-size // 8) * 8 if padded else size for size in sizes)
    return data[at : at + TEXT] if name == KEY and len(data) >= at + TEXT else None


def _text(mapped: Mapped, base: int, reference: bytes) -> str:
    length, index = int.from_bytes(reference[:4], "little"), int.from_bytes(reference[12:16], "little")
    begin = base + int.from_bytes(reference[4:12], "little")
    head = mapped.bytes(begin, 16)
    if head[:4] != COLLECTION or not 0 < length <= LONGEST:
        return ""
    end, at = begin + int.from_bytes(head[8:16], "little"), begin + 16
    for _ in range(OBJECTS):
        if at + 16 > min(end, mapped.size):
            break
        entry = mapped.bytes(at, 16)
        number, size = int.from_bytes(entry[:2], "little"), int.from_bytes(entry[8:16], "little")
        if not number:
            return ""
        if number == index:
            return mapped.bytes(at + 16, min(length, size)).decode("utf-8", "replace").rstrip("\0")
        at += 16 + -(-size // 8) * 8
    return ""
