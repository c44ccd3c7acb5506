"""What is going to be written: each tensor with its place in the order, and how its numbers come about."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layering import lay
from .stored import CODES

Array = NDArray[Any]
SLAB = 1 << 22  # bytes that are laid out and written together: so few that they are still in a cache then


@dataclass(frozen=True, eq=False)
class Planned:
    """A tensor to write. `fill` puts its numbers into an array of its shape.

    `plain` gives a view of the source whose numbers, in C's order, are those of the tensor; then there is no `fill`.
    `sources` are the tensors it comes from, and `how` the way in words. `layer` is that of a Keras tensor.
    """

    name: str
    code: str
    shape: tuple[int, ...]
    sources: tuple[str, ...]
    plain: Callable[[], Array] | None = None
    fill: Callable[[Array], None] | None = None
    how: str = ""
    layer: str = ""

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return math.prod(self.shape) * CODES[self.code].itemsize

    def whole(self) -> Array:
        """Its numbers, as a view that may still have to be laid out."""
        if self.plain is not None:
            return self.plain()
        assert self.fill is not None
        made = np.empty(self.shape, CODES[self.code])
        self.fill(made)
        return made


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


def laid(slab: Array, memory: Array) -> Array:
    """The bytes of a slab in a row: those of the slab itself, or laid out in `memory`, which has SLAB of them."""
    if not slab.flags.c_contiguous:
        out = memory[: slab.nbytes].view(slab.dtype).reshape(slab.shape)
        lay(out, slab)
        slab = out
    return slab.reshape(-1).view(np.uint8)


def slabs(whole: Array) -> Iterator[Array]:
    """An array in parts of at most SLAB bytes, one behind the other in C's order."""
    if whole.nbytes <= SLAB or not whole.ndim:
        yield whole
        return
    rows = SLAB * len(whole) // whole.nbytes
    if rows:
        for begin in range(0, len(whole), rows):
            yield whole[begin : begin + rows]
    else:
        for row in whole:
            yield from slabs(row)
