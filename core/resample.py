"""Resizing of images and of grids of vectors, as one matrix for each axis, in float64.

A pixel is an interval and its value belongs to the middle of it ("half-pixel centres"), so that both ends of the two
grids coincide. Every kernel here is symmetric and separable: height first or width first makes no difference.

With `antialias` the kernel is as wide as a target pixel where the image shrinks; what reaches over the border is cut
off, and the rest is scaled to a sum of one: as Pillow, `torch.nn.functional.interpolate(antialias=True)` and
`tf.image.resize(antialias=True)` do. Without it the kernel is always as wide as a source pixel, and the border pixel
is repeated: as `interpolate(antialias=False)` and OpenCV do.

The cubic kernel has one free number, its slope at 1. It is -0.5 with antialiasing and -0.75 without, as those
functions have it; `tf.image.resize(method="bicubic", antialias=False)` is a third one (-0.5, cut off at the border).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .axes import Array
from .errors import SpecError

REACH = {"bilinear": 1.0, "bicubic": 2.0}
SLOPE = {True: -0.5, False: -0.75}


def matrix(source: int, target: int, *, method: str, antialias: bool) -> NDArray[np.float64]:
    """The weights (target, source) of the source pixels in each target pixel along one axis; every row sums to one.

    Raises SpecError for a method other than `bilinear` and `bicubic`, and for a size below one pixel.
    """
    known(method)
    if min(source, target) < 1:
        raise SpecError(f"{source} pixels cannot be resized to {target}; both must be at least 1")
    step = source / target
    width = max(step, 1.0) if antialias else 1.0
    centres = (np.arange(target) + 0.5) * step - 0.5  # in source pixels
    margin = 0 if antialias else int(REACH[method])
    pixels = np.arange(-margin, source + margin)
    distances = np.abs(pixels - centres[:, None]) / width  # (target, source and margins)
    weights = triangle(distances) if method == "bilinear" else cubic(distances, SLOPE[antialias])
    inside = weights[:, margin : margin + source].copy()
    inside[:, 0] += weights[:, :margin].sum(axis=1)
    inside[:, -1] += weights[:, margin + source :].sum(axis=1)
    result: NDArray[np.float64] = inside / inside.sum(axis=1, keepdims=True)
    return result


def known(method: str) -> None:
    """Raises SpecError for a method that there is not."""
    if method not in REACH:
        raise SpecError(f"there is no resampling method {method!r}; the methods are {' and '.join(REACH)}")


def resize(image: Array, height: int, width: int, *, method: str, antialias: bool) -> NDArray[np.float64]:
    """An image (..., height, width, channels) at another size. Raises SpecError as `matrix` does."""
    rows = matrix(image.shape[-3], height, method=method, antialias=antialias)
    columns = matrix(image.shape[-2], width, method=method, antialias=antialias)
    result = np.asarray(image, np.float64)
    for axis, weights in ((-3, rows), (-2, columns)):
        result = np.moveaxis(np.tensordot(weights, result, (1, axis)), 0, axis)
    return result


def triangle(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation: one at zero, zero from one pixel on."""
    return np.maximum(1 - distance, 0)


def cubic(distance: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    """Keys, "Cubic convolution interpolation for digital image processing" (1981), eq. 4 with the slope left free."""
    near = ((slope + 2) * distance - (slope + 3)) * distance**2 + 1
    far = slope * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))
