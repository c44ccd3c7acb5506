"""Normalisations: over which axes, with or without the mean, and the epsilon, solved for, and where it is added."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .found import Array, Found, axis_name, digits, number, over, sample

FEW, MOST = 256, 20_000
ROUNDING = 1e-15
"""Of the mean square, what is lost when an epsilon is solved from it."""


@dataclass(frozen=True)
class Affine:
    """What is done to the normalised numbers: a factor and a summand per element of the sample, and words on them."""

    factor: Array
    summand: Array
    words: str = ""


def affines(shape: tuple[int, ...], tensors: Mapping[str, Array], moments: Sequence[str] = ()) -> Iterator[Affine]:
    """Every use that a layer's tensors may have as factor and summand; its own first."""
    fitting = {
        name: np.asarray(tensor, np.float64)
        for name, tensor in tensors.items()
        if name not in moments and _fits(tensor, shape, name in ("gamma", "beta"))
    }
    gamma, beta = fitting.get("gamma"), fitting.get("beta")
    one, zero = np.ones(()), np.zeros(())
    if gamma is not None or beta is not None:
        factor, summand = (one if gamma is None else gamma), (zero if beta is None else beta)
        yield Affine(factor, summand)
        yield Affine(1.0 + factor, summand, "1 + gamma for its factor")
        if gamma is not None:
            yield Affine(one, summand, "without gamma")
        if beta is not None:
            yield Affine(factor, zero, "without beta")
            yield Affine(one, zero, "without gamma and beta")
        if gamma is not None and beta is not None and gamma.shape == beta.shape:
            yield Affine(beta, gamma, "gamma and beta swapped")
        for axis in range(1, len(shape) - 1):
            turned = (-1, *(1,) * (len(shape) - 1 - axis))
            if factor.shape == (shape[axis],) and summand.shape in ((), factor.shape):
                along = summand.reshape(turned) if summand.ndim else summand
                yield Affine(factor.reshape(turned), along, f"gamma along {axis_name(axis, len(shape))}")
        return
    yield Affine(one, zero)
    for first, tensor in fitting.items():
        yield Affine(tensor, zero)
        yield Affine(1.0 + tensor, zero, f"1 + `{first}` for its factor")
        yield Affine(one, tensor)
        for second, other in fitting.items():
            if second != first:
                yield Affine(tensor, other, f"`{first}` for its factor, `{second}` added")
                yield Affine(1.0 + tensor, other, f"1 + `{first}` for its factor, `{second}` added")


def _fits(tensor: Array, shape: tuple[int, ...], own: bool) -> bool:
    if tensor.size == 1 or (tensor.ndim and tensor.shape == shape[-tensor.ndim :]):
        return True
    return own and tensor.ndim == 1 and tensor.size in shape[1:]


@dataclass(frozen=True)
class Moments:
    """The mean that is taken off, or nothing, and the mean square of what is left, per element of the input.

    `free` where an epsilon may be added to it, which is not of what is taken over the batch.
    """

    family: str
    name: str
    mean: Array
    square: Array
    count: int = 0
    free: bool = True


def normalisation(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which normalisation of the first input gives the output; both (batch, …, channels), of one shape."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if x.shape != y.shape or x.ndim < 2 or x.ndim > 5 or not np.isfinite(x).all() or not np.isfinite(y).all():
        return
    few, most = sample(x.size, FEW), sample(x.size, MOST)
    used = list(affines(x.shape, tensors, ("mean", "variance")))
    used = [affine for affine in used if _spreads(affine, x.shape)]
    for moments in _moments(x, tensors):
        for affine in used:
            if any(found.digits > 3 for found in _tried(moments, affine, x, y, few)):
                yield from _tried(moments, affine, x, y, most)


def _spreads(affine: Affine, shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(affine.factor.shape, affine.summand.shape, shape) == shape
    except ValueError:
        return False


def _tried(moments: Moments, affine: Affine, x: Array, y: Array, picked: NDArray[np.int64]) -> Iterator[Found]:
    """The ways in which one normalisation may be meant, on a part of the elements."""

    def seen(array: Array) -> Array:
        return np.asarray(np.broadcast_to(array, x.shape)[np.unravel_index(picked, x.shape)])

    applied = Affine(seen(affine.factor), seen(affine.summand), affine.words)
    yield from _epsilons(moments, applied, seen(x) - seen(moments.mean), seen(moments.square), seen(y))


def _epsilons(moments: Moments, affine: Affine, centred: Array, square: Array, target: Array) -> Iterator[Found]:
    """The ways to divide by a root with an epsilon, each with the epsilon that fits best."""
    with np.errstate(all="ignore"):
        root = centred * affine.factor / (target - affine.summand)
    telling = np.isfinite(root) & (root > 0) & (np.abs(centred) > 0.1 * np.max(np.abs(centred), initial=0.0))
    if np.sum(telling) < 2:
        return
    corrections = {"": 1.0}
    if moments.count > 1:
        corrections["the unbiased variance"] = moments.count / (moments.count - 1)
    for unbiased, correction in corrections.items():
        power = square * correction
        for inside in (True, False):
            fits = root[telling] ** 2 - power[telling] if inside else root[telling] - np.sqrt(power[telling])
            epsilon = _least(float(np.median(fits)), float(np.median(power[telling])))
            if epsilon and not (moments.free and _is_told(epsilon, power)):
                continue
            with np.errstate(all="ignore"):
                divisor = np.sqrt(np.maximum(power + epsilon, 0.0)) if inside else np.sqrt(power) + epsilon
                made = centred / divisor * affine.factor + affine.summand
            told = f"epsilon {number(epsilon)}" if epsilon else "no epsilon"
            if epsilon and not inside:
                told += " outside the root"
            name = ", ".join(filter(None, [moments.name, told, unbiased, affine.words]))
            numbers = (epsilon,) if epsilon else ()
            yield Found(moments.family, name, digits(made, target), numbers=numbers)


def _least(epsilon: float, power: float) -> float:
    """The epsilon without the rounding of what it was solved from: none where it is no more, or less than nothing."""
    if not math.isfinite(epsilon) or epsilon < max(1e-14, ROUNDING * power):
        return 0.0
    short = float(f"{epsilon:.1g}")
    return short if abs(short - epsilon) <= 8 * ROUNDING * power else epsilon


def _is_told(epsilon: float, power: Array) -> bool:
    """Whether an epsilon is one that a person writes, or numbers of many sizes, not drowned in it, tell of it.

    With any other, a normalisation of numbers of one size is any factor.
    """
    short = epsilon <= 1.0 and abs(float(f"{epsilon:.2g}") - epsilon) <= 1e-6 * epsilon
    return short or bool(epsilon < np.max(power) and np.ptp(power) > 1e-3 * np.max(power))


def _moments(x: Array, tensors: Mapping[str, Array]) -> Iterator[Moments]:
    mean, variance = tensors.get("mean"), tensors.get("variance")
    if mean is not None and variance is not None and mean.shape == variance.shape == x.shape[-1:]:
        name = "batch norm by the running statistics"
        yield Moments("normalisation", name, np.asarray(mean, np.float64), np.asarray(variance, np.float64))
    for count in range(1, x.ndim + 1):
        for axes in itertools.combinations(range(x.ndim), count):
            number_of = math.prod(x.shape[axis] for axis in axes)
            if number_of < 2:
                continue
            middle, free = x.mean(axes, keepdims=True), 0 not in axes
            name, variance = _name(axes, x.ndim), x.var(axes, keepdims=True)
            centred = Moments("normalisation", name, middle, variance, number_of, free or "batch norm" in name)
            if np.any(centred.square):
                yield centred
            square = np.mean(x**2, axes, keepdims=True)
            rms = f"rms norm over {over(axes, x.ndim)}"
            yield Moments("normalisation", rms, np.zeros(()), square, free=free)
            length = f"division by the Euclidean length over {over(axes, x.ndim)}"
            yield Moments("normalisation", length, np.zeros(()), square * number_of, free=free)
    yield from _groups(x)


def _groups(x: Array) -> Iterator[Moments]:
    channels = x.shape[-1]
    flat = x.reshape(x.shape[0], -1, channels)
    sums, squares = flat.mean(1), (flat**2).mean(1)
    for groups in range(2, channels):
        if channels % groups:
            continue
        for word in ("", ", channels dealt out in turn"):
            shape = (len(x), channels // groups, groups) if word else (len(x), groups, channels // groups)
            axis = 1 if word else 2
            mean, square = (part.reshape(shape).mean(axis, keepdims=True) for part in (sums, squares))
            spread = [np.broadcast_to(part, shape).reshape(len(x), channels) for part in (mean, square - mean**2)]
            places = (len(x), *(1,) * (x.ndim - 2), channels)
            name = f"group norm of {groups} groups{word}"
            count = x[0].size // groups
            yield Moments("normalisation", name, spread[0].reshape(places), spread[1].reshape(places), count)


def _name(axes: tuple[int, ...], ndim: int) -> str:
    if axes == tuple(range(1, ndim)):
        return f"layer norm over {over(axes, ndim)}"
    if axes == tuple(range(ndim - 1)):
        return "batch norm by the batch's own statistics"
    if ndim > 2 and axes == tuple(range(1, ndim - 1)):
        return f"instance norm over {over(axes, ndim)}"
    if axes == tuple(range(ndim - len(axes), ndim)):
        return f"layer norm over {over(axes, ndim)}"
    return f"normalisation over {over(axes, ndim)}"
