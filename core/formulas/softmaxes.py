"""Softmax and its logarithm: over which axis, and at which temperature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, digits, factor, over, settled


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) over its sum along an axis; 0 for minus infinity."""
    raised = np.exp(x - np.max(x, axis, keepdims=True))
    return np.asarray(raised / np.sum(raised, axis, keepdims=True))


def log_softmax(x: Array, axis: int = -1) -> Array:
    """The logarithm of the softmax along an axis."""
    level = x - np.max(x, axis, keepdims=True)
    return np.asarray(level - np.log(np.sum(np.exp(level), axis, keepdims=True)))


def softmaxes(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which softmax of the first input gives the output; both of one shape."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if x.shape != y.shape or np.isnan(x).any() or np.isnan(y).any():
        return
    with np.errstate(all="ignore"):
        for axis in reversed(range(x.ndim)):
            if x.shape[axis] < 2:
                continue
            where = over((axis,), x.ndim)
            if digits(np.sum(y, axis), np.ones_like(np.sum(y, axis))) > 4 and (y >= 0).all():
                yield Found("softmax", f"softmax over {where}", digits(softmax(x, axis), y))
                twice = softmax(softmax(x, axis), axis)
                yield Found("softmax", f"softmax over {where}, twice", digits(twice, y))
                yield from _tempered(x, np.log(y), axis, y, where)
            sums = np.sum(np.exp(y), axis)
            if digits(sums, np.ones_like(sums)) > 4:
                yield Found("softmax", f"log softmax over {where}", digits(log_softmax(x, axis), y))
        every = softmax(x.reshape(x.shape[0], -1)).reshape(x.shape)
        if x.ndim > 2:
            yield Found("softmax", "softmax over every axis but the batch", digits(every, y))


def _tempered(x: Array, logarithm: Array, axis: int, y: Array, where: str) -> Iterator[Found]:
    slopes = (logarithm - logarithm.take([0], axis)) / (x - x.take([0], axis))
    slope = settled(slopes.ravel())
    if slope and slope != 1:
        name = f"softmax over {where} of {factor(slope, x.shape)} times its input"
        made = softmax(slope * x, axis)
        yield Found("softmax", name, digits(made, y), name.replace("its input", "{0}"))
