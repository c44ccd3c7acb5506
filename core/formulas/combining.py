"""Several operands become one: sums, products, averages, concatenations, matrix products."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from .activations import gelu_tanh, sigmoid
from .found import Array, Found, axis_name, digits, factor, number, sample
from .masking import FAR, places

GATES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "gelu (tanh form)": gelu_tanh,
}


def combining(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which combination of two or more inputs gives the output."""
    arrays = [np.asarray(array, np.float64) for array in inputs]
    y = np.asarray(output, np.float64)
    if len(arrays) < 2:
        return
    for (i, a), (j, b) in itertools.combinations(enumerate(arrays), 2):
        yield from _elementwise(a, b, y, i, j)
        yield from _products(a, b, y, i, j)
    if 2 <= len(arrays) <= 5:
        yield from _joined(arrays, y)
    if len(arrays) > 2 and len({array.shape for array in arrays}) == 1:
        names = ", ".join(f"{{{place}}}" for place in range(len(arrays)))
        yield Found("combining", "the sum", digits(np.sum(arrays, 0), y), f"the sum of {names}")
        yield Found("combining", "the mean", digits(np.mean(arrays, 0), y), f"the mean of {names}")


def _elementwise(a: Array, b: Array, y: Array, i: int, j: int) -> Iterator[Found]:
    try:
        if np.broadcast_shapes(a.shape, b.shape) != y.shape:
            return
    except ValueError:
        return
    few = sample(y.size, 256)
    left, right, target = (np.broadcast_to(array, y.shape).flat[few] for array in (a, b, y))
    with np.errstate(all="ignore"):
        for phrase, function in _pairs(i, j).items():
            if digits(function(left, right), target) > 3:
                yield Found("combining", _spoken(phrase), digits(function(a, b), y), phrase)
        if not all(np.isfinite(array).all() for array in (left, right, target)):
            return
        base = np.stack([left, right], 1)
        weights, _, rank, _ = np.linalg.lstsq(base, target, rcond=None)
        if rank == 2 and digits(base @ weights, target) > 3 and np.all(np.abs(weights) > 1e-9):
            one, two = (float(weight) for weight in weights)
            first = f"{{{i}}}" if number(one) == "1" else f"{factor(one, a.shape)} times {{{i}}}"
            second = f"{{{j}}}" if number(two) == "1" else f"{factor(two, b.shape)} times {{{j}}}"
            yield Found(
                "combining", _spoken(f"{first} plus {second}"), digits(one * a + two * b, y), f"{first} plus {second}"
            )


def _pairs(i: int, j: int) -> dict[str, Callable[[Array, Array], Array]]:
    first, second = f"{{{i}}}", f"{{{j}}}"
    found: dict[str, Callable[[Array, Array], Array]] = {
        f"{first} plus {second}": lambda a, b: a + b,
        f"{first} times {second}": lambda a, b: a * b,
        f"{first} minus {second}": lambda a, b: a - b,
        f"{second} minus {first}": lambda a, b: b - a,
        f"{first} over {second}": lambda a, b: a / b,
        f"{second} over {first}": lambda a, b: b / a,
        f"the mean of {first} and {second}": lambda a, b: (a + b) / 2,
        f"the larger of {first} and {second}": np.maximum,
        f"the smaller of {first} and {second}": np.minimum,
        f"{first} alone": lambda a, b: a + 0 * b,
        f"{second} alone": lambda a, b: b + 0 * a,
        f"relu of {first} plus {second}": lambda a, b: np.maximum(a + b, 0),
        f"relu of {first}, plus {second}": lambda a, b: np.maximum(a, 0) + b,
        f"relu of {second}, plus {first}": lambda a, b: np.maximum(b, 0) + a,
        f"relu of {first}, plus relu of {second}": lambda a, b: np.maximum(a, 0) + np.maximum(b, 0),
    }
    for name, gate in GATES.items():
        found[f"{name} of {first}, times {second}"] = functools.partial(_gated, gate)
        found[f"{name} of {second}, times {first}"] = functools.partial(_gating, gate)
    return found


def _gated(gate: Callable[[Array], Array], a: Array, b: Array) -> Array:
    return np.asarray(gate(a) * b)


def _gating(gate: Callable[[Array], Array], a: Array, b: Array) -> Array:
    return np.asarray(a * gate(b))


def _products(a: Array, b: Array, y: Array, i: int, j: int) -> Iterator[Found]:
    if min(a.ndim, b.ndim, y.ndim) < 2:
        return
    hidden = (y <= FAR) & bool(np.any(y > FAR))
    if hidden.any():
        y = np.where(hidden, 0.0, y)
    target, kept = y[(0,) * (y.ndim - 2)], ~hidden[(0,) * (y.ndim - 2)]
    for (p, one), (q, two) in (((i, a), (j, b)), ((j, b), (i, a))):
        for first, second in itertools.product((False, True), repeat=2):
            left = np.swapaxes(one, -1, -2) if first else one
            right = np.swapaxes(two, -1, -2) if second else two
            if left.shape[-1] != right.shape[-2] or (left.shape[-2], right.shape[-1]) != y.shape[-2:]:
                continue
            few = kept * (left[(0,) * (left.ndim - 2)] @ right[(0,) * (right.ndim - 2)])
            size = float(np.sum(few * few))
            scale = float(np.sum(few * target)) / size if size else 0.0
            if not scale or digits(scale * few, target) < 3:
                continue
            try:
                made = np.where(hidden, 0.0, left @ right)
            except ValueError:
                continue
            phrase = f"{{{p}}}{' transposed' * first} @ {{{q}}}{' transposed' * second}"
            phrase += f" with {places(hidden)} masked" if hidden.any() else ""
            if number(scale) == "1":
                yield Found("combining", _spoken(phrase), digits(made, y), phrase)
            else:
                phrase = f"{factor(scale, (*a.shape, *b.shape))} times {phrase}"
                yield Found("combining", _spoken(phrase), digits(scale * made, y), phrase)


def _joined(arrays: Sequence[Array], y: Array) -> Iterator[Found]:
    for order in itertools.permutations(range(len(arrays))):
        for axis in range(y.ndim):
            parts = [arrays[place] for place in order]
            if any(part.ndim != y.ndim for part in parts) or sum(part.shape[axis] for part in parts) != y.shape[axis]:
                continue
            try:
                made = np.concatenate(parts, axis)
            except ValueError:
                continue
            names = ", ".join(f"{{{place}}}" for place in order)
            phrase = f"{names} concatenated along {axis_name(axis, y.ndim)}"
            yield Found("combining", _spoken(phrase), digits(made, y), phrase)


def _spoken(phrase: str) -> str:
    return phrase.format(
        *(f"its {word} input" for word in ("first", "second", "third", "fourth", "fifth", *["next"] * 20))
    )
