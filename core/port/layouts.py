"""How one tensor lies in both frameworks: PyTorch's order of axes, and Keras's, which is the canonical one.

A layout is a word: `same`; `channels`, where PyTorch has channels behind the batch and Keras has them last; `time`,
where PyTorch has time before the batch; `heads`, within a model only, where one side has heads before time and the
other behind it. Other permutations are no layouts but mistakes. `flat` is a feature map that
both have flattened, each in its own order: its sizes are `(channels, *space)`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """`sizes` are those of the feature map, for `flat` only: channels first.

    `shapes` are those of PyTorch and of Keras where one of them has axes of length one that the other lacks, as behind
    an average over space; `word` is then said of what is left without them. In `repeated` one side holds once what the
    other holds for every sample.
    """

    word: str = "same"
    sizes: tuple[int, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()

    def to_keras(self, array: Array) -> Array:
        """From PyTorch's order to Keras's."""
        if self.word == "repeated":
            return _repeated(array, self.shapes[1])
        if self.shapes:
            return replace(self, shapes=()).to_keras(array.reshape(bare(self.shapes[0]))).reshape(self.shapes[1])
        if self.word == "channels":
            return np.moveaxis(array, 1, -1)
        if self.word == "time":
            return np.swapaxes(array, 0, 1)
        if self.word == "heads":
            return np.swapaxes(array, 1, 2)
        if self.word == "flat":
            split = array.reshape(*array.shape[:-1], *self.sizes)
            return np.moveaxis(split, array.ndim - 1, -1).reshape(array.shape)
        return array

    def to_torch(self, array: Array) -> Array:
        """From Keras's order to PyTorch's."""
        if self.word == "repeated":
            return _repeated(array, self.shapes[0])
        if self.shapes:
            return replace(self, shapes=()).to_torch(array.reshape(bare(self.shapes[1]))).reshape(self.shapes[0])
        if self.word == "channels":
            return np.moveaxis(array, -1, 1)
        if self.word == "time":
            return np.swapaxes(array, 0, 1)
        if self.word == "heads":
            return np.swapaxes(array, 1, 2)
        if self.word == "flat":
            channels, *space = self.sizes
            split = array.reshape(*array.shape[:-1], *space, channels)
            return np.moveaxis(split, -1, array.ndim - 1).reshape(array.shape)
        return array


ALIKE = 1e6  # numbers that agree to so many parts are the same, however they lie
LOW = -9999.0  # below it a score counts for nothing in a softmax
SAME, CHANNELS, TIME, HEADS = Layout(), Layout("channels"), Layout("time"), Layout("heads")


def layouts(torch: tuple[int, ...], keras: tuple[int, ...], maps: tuple[tuple[int, ...], ...] = ()) -> Iterator[Layout]:
    """The layouts by which an array of PyTorch's shape may be one of Keras's, the rule's own first.

    `maps` are shapes (channels, *space) of feature maps that may have been flattened before.
    """
    if len(torch) == len(keras):
        found = [CHANNELS, SAME, TIME] if len(torch) > 3 else [SAME, CHANNELS, TIME]
        for layout in found[: 1 if len(torch) < 2 else None]:
            if len(torch) < 3 and layout is CHANNELS:
                continue
            if _shape(layout, torch) == keras:
                yield layout
    if len(torch) == len(keras) and torch == keras and len(torch) >= 2:
        for sizes in dict.fromkeys(maps):
            if len(sizes) > 1 and math.prod(sizes) == torch[-1] and sum(size > 1 for size in sizes) > 1:
                yield Layout("flat", sizes)


def bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its axes of length one, but for the first."""
    return (*shape[:1], *(size for size in shape[1:] if size != 1))


def usual(torch: Array) -> Layout:
    """The layout of the rule for an array that fits none: channels behind the batch in what has space."""
    return CHANNELS if torch.ndim > 3 else SAME


def _shape(layout: Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = list(shape)
    if layout.word == "channels":
        return (axes[0], *axes[2:], axes[1])
    if layout.word == "time":
        return (axes[1], axes[0], *axes[2:])
    return shape


def masked(array: Array) -> Array:
    """An array within a model, where what is masked is one number: -inf in one framework, and very low in the other."""
    if array.dtype.kind != "f" or not array.size or not np.min(array) <= LOW:
        return array
    return np.where(array <= LOW, LOW, array)


def below(*arrays: Array) -> Iterator[float]:
    """A number below all that several outputs hold, to stand for -inf in each of them; none where none is masked."""
    floats = [array for array in arrays if array.dtype.kind == "f"]
    if any(np.any(np.isneginf(array)) for array in floats):
        yield -1 - 2 * max(float(np.max(np.abs(array[np.isfinite(array)]), initial=0)) for array in floats)


def inner(torch: Array, keras: Array, maps: tuple[tuple[int, ...], ...] = (), preferred: str = "") -> Layout | None:
    """As `fitting`, of a tensor within the models, where one side may have axes of length one that the other lacks."""
    found = fitting(torch, keras, maps, preferred)
    if torch.ndim == keras.ndim == 4 and torch.swapaxes(1, 2).shape == keras.shape:
        if found is None or (not alike_in(found, torch, keras) and alike_in(HEADS, torch, keras)):
            return HEADS
    if found is None and torch.ndim and keras.ndim and torch.shape[0] == keras.shape[0]:
        ours, theirs = bare(torch.shape), bare(keras.shape)
        found = fitting(torch.reshape(ours), keras.reshape(theirs), maps, preferred)
        return None if found is None else replace(found, shapes=(torch.shape, keras.shape))
    return found


def repeated(torch: Array, keras: Array) -> Layout | None:
    """How a tensor that one side holds once lies in the other's, which holds it for every sample, or None.

    The numbers must be the same: (1, time, channels) and (batch, time, channels).
    """
    small, large = sorted((torch, keras), key=lambda array: array.size)
    shapes = [_led(array.shape) for array in (small, large)]
    if not 1 < small.size < large.size or shapes[1][-len(shapes[0]) :] != shapes[0]:
        return None
    if not all(array.dtype.kind == "f" for array in (small, large)):
        return None
    found = Layout("repeated", shapes=(torch.shape, keras.shape))
    with np.errstate(all="ignore"):
        return found if alike_in(SAME, _repeated(small, large.shape), large) else None


def _repeated(array: Array, shape: tuple[int, ...]) -> Array:
    """The array in another shape, where the leading axes are of length one in either or missing."""
    if math.prod(shape) < array.size:
        ones = (1,) * max(array.ndim - len(shape), 0)
        sizes = (*ones, *shape)[-array.ndim :]
        return array[tuple(slice(size) for size in sizes)].reshape(shape)
    return np.broadcast_to(array.reshape(_led(array.shape)), shape)


def _led(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the axes of length one that lead it."""
    return tuple(itertools.dropwhile(lambda size: size == 1, shape))


def fitting(torch: Array, keras: Array, maps: tuple[tuple[int, ...], ...] = (), preferred: str = "") -> Layout | None:
    """The layout by which one tensor lies in both frameworks, of those that the shapes allow.

    It is the one in which the numbers are the same, or else the `preferred` one, or that of the rule.
    """
    found = list(layouts(torch.shape, keras.shape, maps))
    found.sort(key=lambda layout: layout.word != preferred if preferred else False)
    if len(found) < 2 or torch.dtype.kind not in "fiub":
        return found[0] if found else None
    with np.errstate(invalid="ignore", over="ignore"):
        misfits = [
            float(np.max(np.abs(layout.to_keras(torch).astype(np.float64) - keras), initial=0)) for layout in found
        ]
    least = int(np.argmin([misfit if misfit == misfit else math.inf for misfit in misfits]))
    finite = np.abs(keras[np.isfinite(keras)]) if keras.dtype.kind == "f" else np.abs(keras)
    return found[least] if misfits[least] * ALIKE <= float(np.max(finite, initial=0)) else found[0]


def alike_in(layout: Layout, torch: Array, keras: Array) -> bool:
    """Whether the numbers are the same in a layout."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = float(np.max(np.abs(layout.to_keras(torch).astype(np.float64) - keras), initial=0))
    return apart * ALIKE <= float(np.max(np.abs(keras), initial=0))


def misfit(one: Array, other: Array) -> float:
    """How far two tensors are apart in the layout that fits best; infinitely where none does."""
    layout = fitting(one, other)
    if layout is None:
        return math.inf
    laid = layout.to_keras(one)
    with np.errstate(invalid="ignore"):
        apart = float(np.max(np.abs(np.where(laid == other, 0, laid - other)), initial=0))
    return math.inf if math.isnan(apart) else apart
