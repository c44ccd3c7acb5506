"""Resizing of images and sequences: nearest, linear and cubic, by either rule for the corners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, digits


def nearest(size: int, wanted: int, exact: bool) -> Array:
    """The matrix `(wanted, size)` that takes the nearest place; the left one, or by the centres where `exact`."""
    places = np.arange(wanted)
    source = (2 * places + 1) * size // (2 * wanted) if exact else places * size // wanted
    return np.asarray(np.eye(size)[np.minimum(source, size - 1)])


def linear(size: int, wanted: int, aligned: bool, centred: bool = True) -> Array:
    """The matrix `(wanted, size)` of linear interpolation; corners aligned, by centres, or by left edges."""
    source = np.clip(_source(size, wanted, aligned, centred), 0, size - 1)
    low = np.minimum(np.floor(source).astype(int), size - 1)
    share = (source - low)[:, None]
    return np.asarray((1 - share) * np.eye(size)[low] + share * np.eye(size)[np.minimum(low + 1, size - 1)])


def cubic(size: int, wanted: int, aligned: bool, sharpness: float, renormalised: bool = False) -> Array:
    """The matrix `(wanted, size)` of cubic convolution, border values repeated or left out of the average."""
    source = _source(size, wanted, aligned, True)
    low = np.floor(source).astype(int)
    matrix = np.zeros((wanted, size))
    for offset in range(-1, 3):
        apart = np.abs(source - (low + offset))
        near = ((sharpness + 2) * apart - (sharpness + 3)) * apart**2 + 1
        far = sharpness * (((apart - 5) * apart + 8) * apart - 4)
        weight = np.where(apart <= 1, near, np.where(apart < 2, far, 0.0))
        if renormalised:
            weight = np.where((low + offset >= 0) & (low + offset < size), weight, 0.0)
        np.add.at(matrix, (np.arange(wanted), np.clip(low + offset, 0, size - 1)), weight)
    return np.asarray(matrix / matrix.sum(1, keepdims=True))


def area(size: int, wanted: int) -> Array:
    """The matrix `(wanted, size)` of triangle filters as wide as the reduction: linear with antialiasing."""
    scale = max(size / wanted, 1.0)
    centres = (np.arange(wanted) + 0.5) * size / wanted - 0.5
    matrix = np.maximum(0.0, 1.0 - np.abs(np.arange(size)[None] - centres[:, None]) / scale)
    return np.asarray(matrix / matrix.sum(1, keepdims=True))


def _source(size: int, wanted: int, aligned: bool, centred: bool) -> Array:
    places = np.arange(wanted, dtype=np.float64)
    if aligned:
        return places * (size - 1) / max(wanted - 1, 1)
    return np.asarray((places + 0.5) * size / wanted - 0.5 if centred else places * size / wanted)


def resizing(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which resizing of the first input gives the output, both `(batch, *space, channels)`; one sample is tried."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if x.ndim not in (3, 4, 5) or x.ndim != y.ndim or (x.shape[0], x.shape[-1]) != (y.shape[0], y.shape[-1]):
        return
    x, y = x[:1, ..., :4], y[:1, ..., :4]
    pairs = list(zip(x.shape[1:-1], y.shape[1:-1], strict=True))
    if all(old == new for old, new in pairs) or max(max(pair) for pair in pairs) > 4096:
        return
    kinds = {
        "nearest": [nearest(old, new, False) for old, new in pairs],
        "nearest by the centres of pixels": [nearest(old, new, True) for old, new in pairs],
        "linear, corners not aligned": [linear(old, new, False) for old, new in pairs],
        "linear, corners aligned": [linear(old, new, True) for old, new in pairs],
        "linear by the left edges of pixels": [linear(old, new, False, False) for old, new in pairs],
        "linear with antialiasing": [area(old, new) for old, new in pairs],
    }
    for sharpness in (-0.75, -0.5):
        told = f"cubic of parameter {sharpness:g}"
        kinds[told] = [cubic(old, new, False, sharpness) for old, new in pairs]
        kinds[f"{told}, corners aligned"] = [cubic(old, new, True, sharpness) for old, new in pairs]
        kinds[f"{told}, borders left out"] = [cubic(old, new, False, sharpness, True) for old, new in pairs]
    for name, matrices in kinds.items():
        made = x
        for axis, matrix in enumerate(matrices, 1):
            made = np.moveaxis(np.tensordot(matrix, made, (1, axis)), 0, axis)
        yield Found("resizing", f"resizing to {' x '.join(str(new) for _, new in pairs)}, {name}", digits(made, y))
