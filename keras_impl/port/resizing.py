"""Resizing by matrices, one for each spatial axis, in every convention of both frameworks.

TensorFlow's own kernels give float32 whatever they are given, so a run in float64 resizes in this way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .bordering import axes_of

TABLE = 1024  # TensorFlow reads the weights of its bicubic form from a table of so many places between two pixels
LINEAR = frozenset({"linear", "bilinear", "trilinear"})


def resized(x: Any, told: dict[str, Any], form: str | None) -> Any:
    """A batch with each spatial axis times its factor."""
    pairs = zip(axes_of(x, form), told["factor"], strict=True)
    sizes = [math.floor(int(x.shape[axis]) * by + 1e-9) for axis, by in pairs]
    return to_size(x, sizes, told["method"], told["aligned"], form)


def to_size(x: Any, sizes: Sequence[int], method: str, aligned: bool, form: str | None) -> Any:
    """A batch with each spatial axis of this size."""
    for axis, out in zip(axes_of(x, form), sizes, strict=True):
        if method != "keys" or out != int(x.shape[axis]):
            matrix = tf.constant(weights(int(x.shape[axis]), int(out), method, aligned), x.dtype)
            x = tf.experimental.numpy.moveaxis(tf.tensordot(x, matrix, ((axis,), (1,))), -1, axis)
    return x


def weights(size: int, out: int, method: str, aligned: bool) -> np.ndarray:
    """What each new place takes of each old one: (out, size). Raises ValueError for a method that is not known.

    `bicubic` is PyTorch's, which repeats the edge; `keys` is TensorFlow's, of another form, which leaves out what lies
    beyond the edge.
    """
    at = np.arange(out)
    if aligned:
        centre = at * ((size - 1) / (out - 1) if out > 1 else 0.0)
    else:
        centre = (at + 0.5) * (size / out) - 0.5
    found = np.zeros((out, size))
    if method in ("nearest", "nearest-exact"):
        legacy = np.floor(at * (size / out) + 1e-9)
        nearest = legacy if method == "nearest" else np.floor(centre + 0.5)
        found[at, np.clip(nearest, 0, size - 1).astype(int)] = 1
    elif method in LINEAR:
        centre = np.clip(centre, 0, size - 1)
        low = np.minimum(np.floor(centre).astype(int), max(size - 2, 0))
        np.add.at(found, (at, low), 1 - (centre - low))
        np.add.at(found, (at, np.minimum(low + 1, size - 1)), centre - low)
    elif method == "bicubic":
        low = np.floor(centre).astype(int)
        for place in range(-1, 3):
            np.add.at(found, (at, np.clip(low + place, 0, size - 1)), _cubic(np.abs(centre - low - place)))
    elif method == "keys":
        low = np.floor(centre)
        table = low + np.rint((centre - low) * TABLE) / TABLE
        found = _cubic(np.abs(table[:, None] - np.arange(size)), -0.5)
        found /= found.sum(1, keepdims=True)
    elif method in KERNELS:
        kernel, spread = KERNELS[method], max(size / out, 1.0) if method.startswith("smooth") else 1.0
        found = kernel(np.abs(centre[:, None] - np.arange(size)) / spread)
        found /= found.sum(1, keepdims=True)
    else:
        raise ValueError(f"there is no resize by {method!r}")
    return found


def _cubic(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _lanczos(lobes: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda distance: np.where(distance < lobes, np.sinc(distance) * np.sinc(distance / lobes), 0.0)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0.0)


# Kernels of TensorFlow that leave out what lies beyond the edge; the smooth ones grow where a picture shrinks.
KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "smooth bilinear": _triangle, "smooth bicubic": lambda distance: _cubic(distance, -0.5),
    "lanczos3": _lanczos(3), "lanczos5": _lanczos(5), "smooth lanczos3": _lanczos(3), "smooth lanczos5": _lanczos(5),
}  # fmt: skip
