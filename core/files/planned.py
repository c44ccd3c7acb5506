"""What is going to be written: each tensor with its place in the order, and how its numbers come about."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layering import lay
from .stored import CODES

Array = NDArray[Any]


class Scratch:
    """One piece of memory in which every tensor is laid out in its turn."""

    def __init__(self, nbytes: int) -> None:
        self.memory = np.empty(nbytes, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array of any content, which lasts until the next one is asked for."""
        return self.memory[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


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

    def numbers(self, scratch: Scratch) -> Array:
        """The numbers as bytes in a row: of the source itself, or laid out in the scratch."""
        if self.plain is not None:
            found = self.plain()
            if not found.flags.c_contiguous:
                out = scratch.array(found.shape, found.dtype)
                lay(out, found)
                found = out
            return found.reshape(-1).view(np.uint8)
        assert self.fill is not None
        out = scratch.array(self.shape, CODES[self.code])
        self.fill(out)
        return out.reshape(-1).view(np.uint8)
