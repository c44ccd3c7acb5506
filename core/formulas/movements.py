"""The same numbers in other places: transposed, reversed, shifted, halves swapped, dealt out in another order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, axes_names, axis_name, digits, sample

ROUNDING = 1e-4
FARTHEST = 8  # places by which a roll is tried


def movement(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which movement of the first input's numbers gives the output; both in Keras's layout."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if x.size == y.size and x.ndim <= 6 and np.any(x != x.flat[:1]) and _alike(x, y):
        for name, phrase, made in _moved(x, y):
            if made.shape == y.shape:
                few = sample(y.size, 64)
                if digits(made.flat[few], y.flat[few]) > 3:
                    yield Found("movement", name, digits(made, y), phrase)
    yield from _shifted(x, y)
    yield from _padded(x, y)


def _alike(x: Array, y: Array) -> bool:
    """Whether two arrays may hold the same numbers: their sums are the same but for rounding."""
    with np.errstate(all="ignore"):
        return not abs(float(np.sum(x)) - float(np.sum(y))) > ROUNDING * float(np.sum(np.abs(x)))


def _moved(x: Array, y: Array) -> Iterator[tuple[str, str, Array]]:
    plain = tuple(range(x.ndim))
    if x.shape != y.shape and x.ndim != y.ndim:
        yield "its input in another shape", "{0} in another shape", x.reshape(y.shape)
    for order in itertools.permutations(plain):
        if order == plain:
            continue
        away = [axis for axis in plain if order[axis] != axis]
        moved = x.transpose(order)
        told = f"with {axes_names(sorted(away), x.ndim)} {'swapped' if len(away) == 2 else 'permuted'}"
        if moved.shape == y.shape:
            yield f"its input {told}", f"{{0}} {told}", moved
        elif y.ndim != x.ndim:
            told = f"flattened {told}"
            yield f"its input {told}", f"{{0}} {told}", moved.reshape(y.shape)
        else:
            told = f"reshaped after {axes_names(sorted(away), x.ndim)} changed places"
            yield f"its input {told}", f"{{0}} {told}", moved.reshape(y.shape)
    if x.shape != y.shape:
        if x.ndim == y.ndim:
            yield "its input reshaped", "{0} reshaped", x.reshape(y.shape)
        yield from _shuffled(x, y.shape)
        return
    yield from _rolled(x)
    for axis in range(x.ndim):
        name, size = axis_name(axis, x.ndim), x.shape[axis]
        if size < 2:
            continue
        yield f"its input with {name} reversed", f"{{0}} with {name} reversed", np.flip(x, axis)
        if size % 2 == 0:
            told = f"with the halves of {name} swapped"
            yield f"its input {told}", f"{{0}} {told}", np.roll(x, size // 2, axis)
        for parts in range(2, min(size // 2, 64) + 1):
            if size % parts == 0:
                split = x.reshape(*x.shape[:axis], parts, size // parts, *x.shape[axis + 1 :])
                told = f"with {name} dealt out as {size // parts} by {parts} instead of {parts} by {size // parts}"
                yield f"its input {told}", f"{{0}} {told}", np.swapaxes(split, axis, axis + 1).reshape(x.shape)
        if size % 3 == 0 and size > 3:
            thirds = np.split(x, 3, axis)
            for order in itertools.permutations(range(3)):
                told = f"with the thirds of {name} in the order {', '.join(str(part + 1) for part in order)}"
                yield f"its input {told}", f"{{0}} {told}", np.concatenate([thirds[part] for part in order], axis)


def _rolled(x: Array) -> Iterator[tuple[str, str, Array]]:
    """Rolled around along an axis, or as far along two axes that are neighbours, as a shifted window is."""
    for axes in [*((axis,) for axis in range(1, x.ndim)), *((axis, axis + 1) for axis in range(1, x.ndim - 1))]:
        longest = min(x.shape[axis] for axis in axes) // 2
        for places in [sign * count for count in range(1, min(longest, FARTHEST) + 1) for sign in (1, -1)]:
            if len(axes) == 1 and 2 * abs(places) == x.shape[axes[0]]:
                continue  # which swaps the halves
            told = f"rolled by {places} along {axes_names(axes, x.ndim)}"
            yield f"its input {told}", f"{{0}} {told}", np.roll(x, (places,) * len(axes), axes)


def _shuffled(x: Array, wanted: tuple[int, ...]) -> Iterator[tuple[str, str, Array]]:
    """Channels to space, by either framework's order of channels."""
    if x.ndim != 4 or len(wanted) != 4 or not x.shape[1] or wanted[1] % x.shape[1] or wanted[2] % x.shape[2]:
        return
    batch, height, width, _ = x.shape
    tall, wide = wanted[1] // height, wanted[2] // width
    if batch * height * width * tall * wide * wanted[3] != x.size:
        return
    for words, split, order in (
        ("(channels, block), as PyTorch's PixelShuffle", (wanted[3], tall, wide), (0, 1, 4, 2, 5, 3)),
        ("(block, channels), as TensorFlow's depth_to_space", (tall, wide, wanted[3]), (0, 1, 3, 2, 4, 5)),
    ):
        told = f"with channels taken to space in the order {words}"
        yield (
            f"its input {told}",
            f"{{0}} {told}",
            x.reshape(batch, height, width, *split).transpose(order).reshape(wanted),
        )


def _shifted(x: Array, y: Array) -> Iterator[Found]:
    """By a few places along an axis, where what enters at the end may be anything."""
    if x.shape != y.shape:
        return
    for axis in range(x.ndim):
        for places in (1, 2, 3):
            if x.shape[axis] < 2 * places + 2:
                continue
            early = (slice(None),) * axis + (slice(None, -places),)
            late = (slice(None),) * axis + (slice(places, None),)
            for word, source, target in (("later", early, late), ("earlier", late, early)):
                few = sample(x[source].size, 64)
                if digits(x[source].flat[few], y[target].flat[few]) > 3:
                    along = axis_name(axis, x.ndim) if axis else "the first axis"  # of a table, which is no batch
                    told = f"{places} place{'s' * (places > 1)} {word} along {along}"
                    exact = digits(x[source], y[target])
                    yield Found("movement", f"its input shifted {told}", exact, f"{{0}} shifted {told}")


def _padded(x: Array, y: Array) -> Iterator[Found]:
    """Zeros around, or borders cut off."""
    if x.ndim != y.ndim or x.shape == y.shape or x.shape[0] != y.shape[0] or x.size == y.size:
        return
    grown = [new - old for new, old in zip(y.shape, x.shape, strict=True)]
    if all(change >= 0 for change in grown):
        small, large, word = x, y, "padded by"
    elif all(change <= 0 for change in grown):
        small, large, word = y, x, "cropped by"
    else:
        return
    ranges = [range(abs(change) + 1) for change in grown]
    if np.prod([len(choice) for choice in ranges]) > 256:
        return
    for start in itertools.product(*ranges):
        place = tuple(slice(first, first + size) for first, size in zip(start, small.shape, strict=True))
        if digits(large[place], small) > 3:
            told = "; ".join(
                f"{first} and {abs(change) - first} along {axis_name(axis, x.ndim)}"
                for axis, (first, change) in enumerate(zip(start, grown, strict=True))
                if change
            )
            rest = (
                digits(_placed(small, place, large.shape), large)
                if word == "padded by"
                else digits(large[place], small)
            )
            yield Found("movement", f"its input {word} {told}", rest, f"{{0}} {word} {told}")


def _placed(small: Array, place: tuple[slice, ...], shape: tuple[int, ...]) -> Array:
    whole = np.zeros(shape)
    whole[place] = small
    return whole
