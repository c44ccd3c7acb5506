"""Scores with some places pushed far down, so that a softmax gives them nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, digits, factor, settled

FAR = -1e3
"""What a score loses or becomes is at least this far down where it is masked; scores themselves hardly get there."""

SAME = 12.0


def blocked(x: Array, y: Array) -> Array:
    """Where the second array, and not the first, is far below zero."""
    with np.errstate(all="ignore"):
        return np.asarray((y <= FAR) & ~(x <= FAR / 2))


def masking(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which places of the first input the output masks, and how the rest is scaled; both `(…, queries, keys)`."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if x.shape != y.shape or x.ndim < 2:
        return
    hidden = blocked(x, y)
    if not hidden.any() or hidden.all():
        return
    kept = ~hidden & (x != 0)
    ratio = settled(y[kept] / x[kept]) if kept.any() else None
    if ratio is None:
        return
    words = "its input" if abs(ratio - 1) < 1e-12 else f"{factor(ratio, x.shape)} times its input"
    name = f"{words} with {places(hidden)} masked"
    made = digits(np.where(hidden, 0.0, ratio * x), np.where(hidden, 0.0, y))
    yield Found("masking", name, made, name.replace("its input", "{0}"))


def places(hidden: Array) -> str:
    """Words for the places that are masked, by the last two axes."""
    square = np.ones(hidden.shape[-2:], bool)
    if np.array_equal(hidden, np.broadcast_to(np.triu(square, 1), hidden.shape)):
        return "the future"
    if np.array_equal(hidden, np.broadcast_to(np.tril(square, -1), hidden.shape)):
        return "the past"
    if np.array_equal(hidden, np.broadcast_to(np.triu(square), hidden.shape)):
        return "the future and each place itself"
    if np.array_equal(hidden, np.broadcast_to(np.tril(square), hidden.shape)):
        return "the past and each place itself"
    if np.array_equal(hidden, np.broadcast_to(hidden[..., :1, :], hidden.shape)):
        return f"{int(hidden[..., 0, :].sum())} keys, alike for every query,"
    return f"{int(hidden.sum())} of {hidden.size} places"


def fills(one: Array, other: Array) -> tuple[float, float] | None:
    """What two arrays hold where both are masked, if that is all in which they differ: -inf, say, and -1e9."""
    if one.shape != other.shape:
        return None
    hidden = (one <= FAR) & (other <= FAR)
    if not hidden.any() or digits(np.where(hidden, 0.0, one), np.where(hidden, 0.0, other)) < SAME:
        return None
    return float(one[hidden].min()), float(other[hidden].min())
