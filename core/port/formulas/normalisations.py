"""Normalisations: over which axes, with or without the mean, and the epsilon, solved for, and where it is added."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .found import Array, Found, axes_names, digits, number, sample

MOST = 20_000


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
        if name not in moments and tensor.ndim and tensor.shape == shape[-tensor.ndim :] or tensor.size == 1
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


@dataclass(frozen=True)
class Moments:
    """The mean that is taken off, or nothing, and the mean square of what is left, per element of the input."""

    family: str
    name: str
    mean: Array
    square: Array
    count: int = 0


def normalisation(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which normalisation of the first input gives the output; both (batch, …, channels), of one shape."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if x.shape != y.shape or x.ndim < 2 or x.ndim > 5 or not np.isfinite(x).all() or not np.isfinite(y).all():
        return
    picked = sample(x.size, MOST)
    applied = [
        (affine, *(np.broadcast_to(array, x.shape).flat[picked] for array in (affine.factor, affine.summand)))
        for affine in affines(x.shape, tensors, ("mean", "variance"))
    ]
    few, target = x.flat[picked], y.flat[picked]
    for moments in _moments(x, tensors):
        mean, square = (np.broadcast_to(array, x.shape).flat[picked] for array in (moments.mean, moments.square))
        for affine, factor, summand in applied:
            yield from _epsilons(moments, affine.words, few - mean, square, target, factor, summand)


def _epsilons(
    moments: Moments, words: str, centred: Array, square: Array, target: Array, factor: Array, summand: Array
) -> Iterator[Found]:
    """The ways to divide by a root with an epsilon, each with the epsilon that fits best."""
    with np.errstate(all="ignore"):
        root = centred * factor / (target - summand)
    telling = np.isfinite(root) & (root > 0) & (np.abs(centred) > 0.1 * np.max(np.abs(centred), initial=0.0))
    if np.sum(telling) < 2:
        return
    corrections = [("", 1.0)]
    if moments.count > 1:
        corrections.append(("the unbiased variance", moments.count / (moments.count - 1)))
    for unbiased, correction in corrections:
        power = square * correction
        ways = {
            "inside the root": (
                root[telling] ** 2 - power[telling],
                lambda e, p=power: np.sqrt(np.maximum(p + e, 0.0)),
            ),
            "outside the root": (root[telling] - np.sqrt(power[telling]), lambda e, p=power: np.sqrt(p) + e),
        }
        for place, (fits, divisor) in ways.items():
            epsilon = _least(float(np.median(fits)))
            with np.errstate(all="ignore"):
                made = centred / divisor(epsilon) * factor + summand
            told = f"epsilon {number(epsilon)}" if epsilon else "no epsilon"
            if epsilon and place != "inside the root":
                told += f" {place}"
            yield Found(
                moments.family, ", ".join(filter(None, [moments.name, told, unbiased, words])), digits(made, target)
            )
        clipped = np.max(np.abs(fits)) if fits.size else 1.0
        if moments.count and clipped < 1e-9 and float(np.median(np.abs(fits))) == 0.0:
            return


def _least(epsilon: float) -> float:
    """An epsilon that is no more than the rounding of what it was solved from is none."""
    return 0.0 if abs(epsilon) < 1e-14 or not math.isfinite(epsilon) else epsilon


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
            middle = x.mean(axes, keepdims=True)
            centred = Moments("normalisation", _name(axes, x.ndim), middle, x.var(axes, keepdims=True), number_of)
            if np.any(centred.square):
                yield centred
            square = np.mean(x**2, axes, keepdims=True)
            yield Moments("normalisation", f"rms norm over {axes_names(axes, x.ndim)}", np.zeros(()), square)
            length = f"division by the Euclidean length over {axes_names(axes, x.ndim)}"
            yield Moments("normalisation", length, np.zeros(()), square * number_of)
    yield from _groups(x)


def _groups(x: Array) -> Iterator[Moments]:
    channels = x.shape[-1]
    for groups in range(2, channels):
        if channels % groups:
            continue
        split = x.reshape(x.shape[0], -1, groups, channels // groups)
        for word, apart in (("", split), (", channels dealt out in turn", split.reshape(*split.shape[:2], -1, groups))):
            axes = (1, 3) if not word else (1, 2)
            whole = [
                np.broadcast_to(made, apart.shape).reshape(x.shape)
                for made in (apart.mean(axes, keepdims=True), apart.var(axes, keepdims=True))
            ]
            yield Moments("normalisation", f"group norm of {groups} groups{word}", *whole, apart[0].size // groups)


def _name(axes: tuple[int, ...], ndim: int) -> str:
    if axes == tuple(range(1, ndim)):
        return f"layer norm over {axes_names(axes, ndim)}" if ndim > 2 else "layer norm over channels"
    if axes == tuple(range(ndim - 1)):
        return "batch norm by the batch's own statistics"
    if ndim > 2 and axes == tuple(range(1, ndim - 1)):
        return f"instance norm over {axes_names(axes, ndim)}"
    if axes == tuple(range(ndim - len(axes), ndim)):
        return f"layer norm over {axes_names(axes, ndim)}"
    return f"normalisation over {axes_names(axes, ndim)}"
