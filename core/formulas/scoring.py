"""What an attention does with queries and keys, read from its weights: its scale, its bias, its mask, its rotation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .found import Array, digits, factor, number

SURE = 9.0
"""So many digits must agree for a reading to count."""
SHOWN = 4


@dataclass(frozen=True)
class Scored:
    """`scale` multiplies queries times keys, `bias` (heads, queries, keys) is added, and `seen` is what is not masked.

    A bias is the same for every sample, and known but for one number in each row.
    """

    scale: float
    bias: Array | None
    seen: Array


def scored(query: Array, key: Array, weights: Array) -> Scored | None:
    """What makes the weights (batch, heads, queries, keys) of queries and keys (batch, heads, places, depth)."""
    products = query @ np.swapaxes(key, -1, -2)
    if products.shape != weights.shape:
        return None
    seen = weights > 0
    with np.errstate(all="ignore"):
        logits = _centred(np.where(seen, np.log(weights), 0.0), seen)
    products = _centred(products, seen)
    scale = _slope(products, logits)
    if digits(scale * products, logits) >= SURE:
        return Scored(scale, None, seen)
    both = seen[1:] & seen[:1]
    if not both.any():
        return None
    steps = [_centred(array[1:] - array[:1], both) for array in (products, logits)]
    scale = _slope(*steps)
    if digits(scale * steps[0], steps[1]) < SURE:
        return None
    sample = int(np.argmax(seen.sum((1, 2, 3))))  # of which the most is seen
    return Scored(scale, (logits - scale * products)[sample], seen)


def _centred(array: Array, seen: Array) -> Array:
    """Each row without its mean over what is seen, and zero elsewhere: a softmax does not tell it."""
    count = np.maximum(seen.sum(-1, keepdims=True), 1)
    held = np.where(seen, array, 0.0)
    return np.where(seen, held - held.sum(-1, keepdims=True) / count, 0.0)


def _slope(one: Array, other: Array) -> float:
    return float(np.sum(one * other) / (np.sum(one * one) or 1.0))


def scale_told(scale: float, depth: int, heads: int) -> str:
    """A scale in words, by the sizes that it may come from."""
    if abs(scale - 1) < 1e-6:
        return "no scale"
    return f"scale {factor(scale, (depth, depth * heads))}"


def mask_told(seen: Array) -> str:
    """Which keys the queries see, in words."""
    rows, columns = seen.shape[-2:]
    if seen.all():
        return "no mask"
    future = np.triu(np.ones((rows, columns), bool), 1)
    if np.array_equal(seen, np.broadcast_to(~future, seen.shape)):
        return "a causal mask"
    if not (seen & future).any():
        return f"a causal mask and {_hidden(~seen & ~future)} more masked"
    return f"{_hidden(~seen)} masked"


def _hidden(hidden: Array) -> str:
    return f"{int(hidden[:, 0].sum())} of {hidden[:, 0].size} places"


def bias_told(bias: Array | None, seen: Array) -> str:
    """What is added to the scores, in words: a slope per head and place of distance, or a number per place."""
    if bias is None:
        return "no bias of its own"
    shown = np.asarray(seen.all(0))
    rows, columns = np.indices(bias.shape[-2:])
    back = np.maximum(rows - columns, 0)
    ways = {
        "places from key to query": rows - columns,
        "distance": np.abs(rows - columns),
        "places back": back,
        "places ahead": back.T,
    }
    for told, distance in ways.items():
        lines = _centred(np.broadcast_to(distance, bias.shape).astype(float), shown)
        held = _centred(bias, shown)
        slopes = [_slope(line, own) for line, own in zip(lines, held, strict=True)]
        if digits(np.stack([slope * line for slope, line in zip(slopes, lines, strict=True)]), held) >= SURE:
            more = ", …" if len(slopes) > SHOWN else ""
            listed = ", ".join(number(slope) for slope in slopes[:SHOWN])
            return f"a bias by the {told} (ALiBi) with the slopes {listed}{more}"
    return "a bias of its own for every head, query and key"


def rotated(given: Array, made: Array) -> str:
    """How (batch, heads, time, depth) was turned by its place, or "" where it was not by any known way."""
    if given.shape != made.shape or given.shape[-1] % 2:
        return ""
    if digits(given, made) >= SURE:
        return "not rotated"
    half = given.shape[-1] // 2
    ways = {
        "in halves": (slice(None, half), slice(half, None)),
        "in neighbouring pairs": (slice(0, None, 2), slice(1, None, 2)),
    }
    for (name, way), (other, behind) in itertools.product(ways.items(), repeat=2):
        one, two = (array[..., first] + 1j * array[..., second] for array, (first, second) in
                    ((given, way), (made, behind)))  # fmt: skip
        turn = np.exp(1j * np.angle(two[:1, :1] / one[:1, :1]))
        if _far(turn * one, two):
            continue
        told = name if name == other else f"{name}, and laid out {other}"
        return f"rotated {told}{_base(np.angle(turn[0, 0]), given.shape[-1])}"
    return ""


def _far(one: Array, other: Array) -> bool:
    return float(np.max(np.abs(one - other))) > 10**-SURE * float(np.max(np.abs(other)))


def _base(angles: Array, depth: int) -> str:
    """The base of the angles, and the place of the first row, from (time, pairs); "" where they have none."""
    if angles.shape[-1] < 2 or angles.shape[0] < 2:
        return ""
    steps = np.angle(np.exp(1j * (angles[1] - angles[0])))
    pace = float(steps[0])
    if not pace or not steps[1] / pace > 0:
        return ""
    base = (steps[1] / pace) ** (-depth / 2)
    first = float(angles[0, 1] / steps[1])
    told = f" by the base {number(float(base))}"
    if abs(abs(pace) - 1) > 1e-6:
        told += f", {number(abs(pace))} a place"
    told += " backwards" if pace < 0 else ""
    return told if abs(first) < 1e-6 else f"{told}, from place {number(first)}"


def shares(heads: Array) -> tuple[int, ...]:
    """Which heads of (batch, heads, time, depth) hold the same numbers, each by the number of the first that does."""
    found: list[int] = []
    kinds: list[Array] = []
    for head in np.moveaxis(heads, 1, 0):
        known = next((place for place, other in enumerate(kinds) if np.array_equal(head, other)), len(kinds))
        if known == len(kinds):
            kinds.append(head)
        found.append(known)
    return tuple(found)
