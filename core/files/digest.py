"""A checksum at the speed of memory: what was written is read back and must have it again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 20
WORDS = (256, 511)  # of a block; 511 of them are no multiple of a page, so that pages cannot change places unseen


def blocks(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Bytes in a row, a mebibyte at a time."""
    for begin in range(0, len(data), BLOCK):
        yield data[begin : begin + BLOCK]


def folded(block: NDArray[Any], digest: int) -> int:
    """The checksum with one more block.

    Of a whole block the sums of the columns of 256 by 511 words are taken modulo 2**64, which any one change moves, and
    CRC-32 goes over them and over what is left of the block. Of a shorter one CRC-32 goes over the bytes.
    """
    if len(block) < BLOCK:
        return zlib.crc32(block.data, digest)
    if block.ctypes.data % 8:
        block = block.copy()
    size = 8 * WORDS[0] * WORDS[1]
    columns = block[:size].view(np.uint64).reshape(WORDS).sum(0)
    return zlib.crc32(block[size:].data, zlib.crc32(columns.data, digest))


def digest(data: NDArray[Any]) -> int:
    """The checksum of bytes in a row."""
    found = 0
    for block in blocks(data):
        found = folded(block, found)
    return found
