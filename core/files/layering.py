"""Numbers into their order in a file: large transpositions tile by tile, so that caches hold what is moved."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMALL = 1 << 15  # numbers; below it, NumPy's own copy is as quick
SHORT = 8
# A tile: so many numbers along the target's last axis, and along that on which the source's are neighbours.
FAR, NEAR = 256, 512
MARGIN = 16  # numbers behind each row of a tile, without which rows of a power of two share their cache lines
WITHIN = 64


def lay(target: Array, source: Array) -> None:
    """Copy an array of any strides into one of the same shape, whose own order is that of C."""
    last = _last(source.shape)
    near = _nearest(source)
    if source.size < SMALL or near == last:
        np.copyto(target, source)
        return
    others = [axis for axis in range(source.ndim) if axis not in (near, last)]
    kept = [axis for axis in others if math.prod(source.shape[other] for other in others if other >= axis) <= WITHIN]
    stepped = [axis for axis in others if axis not in kept]
    inner = math.prod(source.shape[axis] for axis in kept)
    tile = max(SHORT, NEAR // max(1, inner // 4))
    shape = [source.shape[axis] for axis in kept]
    held = np.empty((*shape, FAR, tile + MARGIN), source.dtype)
    order = (*stepped, *kept, last, near)
    to, of = target.transpose(order), source.transpose(order)
    for index in itertools.product(*(range(source.shape[axis]) for axis in stepped)):
        for far in range(0, source.shape[last], FAR):
            for begin in range(0, source.shape[near], tile):
                part: tuple[Any, ...] = (
                    *index,
                    *[slice(None)] * len(kept),
                    slice(far, far + FAR),
                    slice(begin, begin + tile),
                )
                block = of[part]
                copy = held[..., : block.shape[-2], : block.shape[-1]]
                copy[...] = block
                to[part] = copy


def _last(shape: tuple[int, ...]) -> int:
    """The last axis that is not short, or the last of all."""
    return next((axis for axis in reversed(range(len(shape))) if shape[axis] >= SHORT), len(shape) - 1)


def _nearest(source: Array) -> int:
    """The axis of the smallest stride among those that are not short."""
    long = [axis for axis in range(source.ndim) if source.shape[axis] >= SHORT] or [*range(source.ndim)]
    return min(long, key=lambda axis: abs(source.strides[axis]), default=-1)
