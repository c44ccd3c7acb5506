"""A checksum at the speed of memory: what was written is read back and must have it again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 20
WORDS = (512, 256)


def blocks(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Bytes in a row, a mebibyte at a time."""
    for begin in range(0, len(data), BLOCK):
        yield data[begin : begin + BLOCK]


def folded(block: NDArray[Any], digest: int) -> int:
    """The checksum with one more block.

    Of a whole block the sums of its rows and of its columns, as 512 by 256 words, are taken modulo 2**64: they change
    with any one change, and CRC-32 goes over them. Of a shorter one CRC-32 goes over the bytes.
    """
    if len(block) < BLOCK:
        return zlib.crc32(block.data, digest)
    if block.ctypes.data % 8:
        block = block.copy()
    words = block.view(np.uint64).reshape(WORDS)
    return zlib.crc32(words.sum(1).tobytes(), zlib.crc32(words.sum(0).tobytes(), digest))


def digest(data: NDArray[Any]) -> int:
    """The checksum of bytes in a row."""
    found = 0
    for block in blocks(data):
        found = folded(block, found)
    return found
