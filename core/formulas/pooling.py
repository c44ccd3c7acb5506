"""Pooling over windows: their size, stride and padding, and whether the padding counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, digits, padded

WINDOWS = (2, 3, 4, 5, 7, 8)


def windows(x: Array, size: int, stride: int, padding: tuple[int, int], filled: float) -> Array:
    """The windows of `(batch, *space, channels)`, of one size on each axis, behind all other axes and flattened."""
    space = range(1, x.ndim - 1)
    wide = np.pad(x, [(0, 0), *[padding] * len(space), (0, 0)], constant_values=filled)
    seen = np.lib.stride_tricks.sliding_window_view(wide, (size,) * len(space), tuple(space))
    kept = seen[(slice(None), *[slice(None, None, stride)] * len(space))]
    return kept.reshape(*kept.shape[: x.ndim], -1)


def pooling(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which pooling of the first input gives the output, both (batch, *space, channels); the first sample is tried."""
    x, y = (np.asarray(array, np.float64) for array in (inputs[0], output))
    if x.ndim not in (3, 4, 5) or x.ndim != y.ndim or (x.shape[0], x.shape[-1]) != (y.shape[0], y.shape[-1]):
        return
    x, y = x[:1, ..., :8], y[:1, ..., :8]
    for size, stride in itertools.product(WINDOWS, (1, 2, 3, 4, 5, 7, 8)):
        if stride > size or min(x.shape[1:-1]) < 2:
            continue
        for padding in sorted(itertools.product(range(size // 2 + 1), range(size // 2 + 1)), key=_lopsided):
            made = tuple((length + sum(padding) - size) // stride + 1 for length in x.shape[1:-1])
            if made != y.shape[1:-1] or any(length + sum(padding) < size for length in x.shape[1:-1]):
                continue
            yield from _kinds(x, y, size, stride, padding)


def _lopsided(padding: tuple[int, int]) -> tuple[int, int]:
    """None first, then the same on both sides, then more at the end."""
    return abs(padding[0] - padding[1]), sum(padding)


def _kinds(x: Array, y: Array, size: int, stride: int, padding: tuple[int, int]) -> Iterator[Found]:
    told = f"with window {size}, stride {stride}, padding {padded(padding)}"
    highest = np.max(windows(x, size, stride, padding, -np.inf), -1)
    yield Found("pooling", f"max pooling {told}", digits(highest, y))
    seen = windows(x, size, stride, padding, 0.0)
    if not any(padding):
        yield Found("pooling", f"average pooling {told}", digits(np.mean(seen, -1), y))
        return
    yield Found("pooling", f"max pooling {told} with zeros", digits(np.max(seen, -1), y))
    yield Found("pooling", f"average pooling {told}, which counts", digits(np.mean(seen, -1), y))
    count = np.sum(windows(np.ones_like(x), size, stride, padding, 0.0), -1)
    yield Found("pooling", f"average pooling {told}, which does not count", digits(np.sum(seen, -1) / count, y))
