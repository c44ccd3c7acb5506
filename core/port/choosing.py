"""Whole numbers that reach a layer, codes or positions: which earlier ones they are on each side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..formulas.movements import movement
from .evidence import Array, Cause

LONGEST = 512


def whole(array: Array) -> bool:
    """Whether an array holds whole numbers."""
    return bool(np.issubdtype(array.dtype, np.integer))


def chosen(before: Mapping[str, Array], torch: Array, keras: Array) -> Cause | None:
    """Why two tensors of whole numbers differ, by the earlier ones on which both sides agree, or None."""
    torch, keras = _bare(torch, keras)
    if np.array_equal(torch, keras):
        return None
    earlier = [(name, array) for name, array in reversed(list(before.items())) if whole(array) and array.size]
    ours, theirs = (
        next((text for name, array in earlier for text in taken(f"`{name}`", array, target)), "")
        for target in (torch, keras)
    )
    if ours and theirs:
        return Cause(f"PyTorch takes {ours}, and Keras {theirs}", "", True) if ours != theirs else None
    for side, one, other in (("Keras", torch, keras), ("PyTorch", keras, torch)):
        if way := next(taken("what the other does", one, other), ""):
            return Cause(f"{side} takes {way}", "", True)
    if ours or theirs:
        known, unknown = ("PyTorch", "Keras") if ours else ("Keras", "PyTorch")
        return Cause(f"{known} takes {ours or theirs}, and {unknown} something else")
    return _apart(torch, keras)


def _bare(torch: Array, keras: Array) -> tuple[Array, Array]:
    """Both in one shape, where they differ by axes of length one, or in that one holds the same for every sample."""
    if torch.size == keras.size and np.squeeze(torch).shape == np.squeeze(keras).shape:
        return torch.reshape(keras.shape), keras
    ours, theirs = (array[0] if array.ndim > 1 and np.all(array == array[:1]) else array for array in (torch, keras))
    if ours.size == theirs.size and np.squeeze(ours).shape == np.squeeze(theirs).shape:
        return ours.reshape(theirs.shape), theirs
    return torch, keras


def _apart(torch: Array, keras: Array) -> Cause | None:
    """The first place at which the two differ, if one was made of the other by hardly any change."""
    if torch.shape != keras.shape:
        return None
    places = np.argwhere(torch != keras)
    if len(places) > torch.size // 2:
        return None
    first = tuple(int(number) for number in places[0])
    numbers = f"PyTorch takes {int(torch[first])} and Keras {int(keras[first])} at {first}"
    return Cause(f"{numbers}, the first of {len(places)} places of {torch.size} at which the two differ")


def taken(name: str, source: Array, target: Array) -> Iterator[str]:
    """How a tensor of whole numbers is made of another, in words, to the last number; simple ways go first."""
    if np.array_equal(source, target):
        yield f"{name} as it is"
    yield from _parts(name, source, target)
    if source.shape == target.shape and source.size > 1:
        apart = np.unique(target.astype(np.int64) - source.astype(np.int64))
        if apart.size == 1 and apart[0]:
            yield f"{name} {'plus' if apart[0] > 0 else 'minus'} {abs(int(apart[0]))}"
        for bound, word, cut in ((target.max(), "above", np.minimum), (target.min(), "below", np.maximum)):
            if np.any(cut(source, bound) != source) and np.array_equal(cut(source, bound), target):
                yield f"{name} with all {word} {int(bound)} set to {int(bound)}"
    for found in movement([source], target, {}):
        if found.digits >= 17:
            yield found.of(name).replace("along channels", "along the last axis")


def _parts(name: str, source: Array, target: Array) -> Iterator[str]:
    for axis in range(1, source.ndim):
        long, rest = source.shape[axis], source.size // max(source.shape[axis], 1)
        length = target.size // max(rest, 1)
        if not 0 < length < long or length * rest != target.size or long - length > LONGEST:
            continue
        for start in range(long - length + 1):
            part = source[(slice(None),) * axis + (slice(start, start + length),)]
            if np.array_equal(part.ravel(), target.ravel()):
                places = f"index {start}" if length == 1 else f"indices {start} to {start + length - 1}"
                yield f"{places} of axis {axis} of {name}"
