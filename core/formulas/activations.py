"""Functions of one element: activations with and without a constant, which is solved for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, digits, factor, number, sample, settled

MORE = 1.0
"""By so many digits a line must be nearer than a simpler one: less is rounding."""
ERF = np.vectorize(math.erf, otypes=[float])


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1.0 + small))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.asarray(np.logaddexp(0.0, x))


def gelu_tanh(x: Array) -> Array:
    """Hendrycks and Gimpel's approximation by a hyperbolic tangent."""
    return np.asarray(0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """x above zero, alpha (exp(x) - 1) below."""
    return np.asarray(np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))))


SELU = (1.0507009873554805, 1.6732632423543772)

FIXED: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "gelu in the exact form": lambda x: 0.5 * x * (1.0 + ERF(x / math.sqrt(2.0))),
    "gelu in the tanh approximation": gelu_tanh,
    "gelu in the sigmoid approximation, x sigmoid(1.702 x)": lambda x: x * sigmoid(1.702 * x),
    "silu": lambda x: x * sigmoid(x),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "elu of alpha 1": elu,
    "selu": lambda x: SELU[0] * elu(x, SELU[1]),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "softplus": softplus,
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "hard sigmoid in the form clip(x / 6 + 0.5)": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "hard sigmoid in the older form clip(0.2 x + 0.5)": lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "hard swish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "hard swish with the older hard sigmoid": lambda x: x * np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "hard tanh": lambda x: np.clip(x, -1.0, 1.0),
    "clip to 0 … 1": lambda x: np.clip(x, 0.0, 1.0),
    "log sigmoid": lambda x: -softplus(-x),
    "tanh shrink": lambda x: x - np.tanh(x),
    "scaled tanh, 1.7159 tanh(2 x / 3)": lambda x: 1.7159 * np.tanh(2.0 * x / 3.0),
    "squared relu": lambda x: np.maximum(x, 0.0) ** 2,
    "exponential": np.exp,
    "exp(x) - 1": np.expm1,
    "logarithm": np.log,
    "log(1 + x)": np.log1p,
    "absolute value": np.abs,
    "square": np.square,
    "square root": np.sqrt,
    "reciprocal": np.reciprocal,
    "reciprocal square root": lambda x: 1.0 / np.sqrt(x),
    "sine": np.sin,
    "cosine": np.cos,
    "1 - x": lambda x: 1.0 - x,
    "exp(x / 2)": lambda x: np.exp(x / 2.0),
    "gaussian, exp(-x²)": lambda x: np.exp(-(x**2)),
    "one step above zero": lambda x: (x > 0).astype(np.float64),
}


def leaky_relu(x: Array, y: Array) -> Found | None:
    """Above zero the input itself, below it times the slope that is solved for."""
    below = (x < 0) & np.isfinite(x)
    slope = settled(y[below] / x[below]) if below.any() else None
    if slope is None or slope in (0.0, 1.0) or not (x > 0).any():
        return None
    made = np.where(x < 0, slope * x, x)
    return Found("activation", f"leaky relu of slope {number(slope)}", digits(made, y), numbers=(slope,))


def scaled_elu(x: Array, y: Array) -> Found | None:
    """Above zero the input itself, below it alpha (exp(x) - 1)."""
    below = x < 0
    alpha = settled(y[below] / np.expm1(x[below])) if below.any() else None
    if not alpha:
        return None
    return Found("activation", f"elu of alpha {number(alpha)}", digits(elu(x, alpha), y), numbers=(alpha,))


def celu(x: Array, y: Array) -> Found | None:
    """Above zero the input itself, below it alpha (exp(x / alpha) - 1), for the usual alphas."""
    grid = [Found("activation", f"celu of alpha {a:g}", digits(a * elu(x / a), y)) for a in (0.1, 0.2, 0.5, 2.0)]
    found = [Found("", "", digits(np.where(x > 0, x, 0.0), np.where(x > 0, y, 0.0))), *grid]
    return max(grid, key=lambda item: item.digits) if found[0].digits > 3 else None


def swish(x: Array, y: Array) -> Found | None:
    """x sigmoid(beta x)."""
    share = y[x != 0] / x[x != 0]
    inside = (share > 0) & (share < 1) & (np.abs(share - 0.5) > 1e-3)
    if not inside.any():
        return None
    share, base = share[inside], x[x != 0][inside]
    beta = settled(np.log(share / (1.0 - share)) / base)
    if not beta:
        return None
    return Found("activation", f"x sigmoid({number(beta)} x)", digits(x * sigmoid(beta * x), y), numbers=(beta,))


def scaled_sigmoid(x: Array, y: Array) -> Found | None:
    """sigmoid(beta x)."""
    inside = (y > 0) & (y < 1) & (np.abs(x) > 1e-3)
    if not inside.any() or (y < 0).any() or (y > 1).any():
        return None
    beta = settled(np.log(y[inside] / (1.0 - y[inside])) / x[inside])
    if not beta:
        return None
    return Found("activation", f"sigmoid of {number(beta)} x", digits(sigmoid(beta * x), y), numbers=(beta,))


def softplus_beta(x: Array, y: Array) -> Found | None:
    """log(1 + exp(beta x)) / beta, for the usual betas."""
    grid = [
        Found("activation", f"softplus of beta {b:g}", digits(softplus(b * x) / b, y)) for b in (0.5, 2.0, 5.0, 10.0)
    ]
    return max(grid, key=lambda item: item.digits)


def clipped(x: Array, y: Array) -> Found | None:
    """The input between two bounds that are solved for."""
    low, high = float(np.min(y)), float(np.max(y))
    below, above = bool(np.any(x < low)), bool(np.any(x > high))
    if not below and not above:
        return None
    name = f"clip to {number(low)} … {number(high)}"
    numbers: tuple[float, ...] = (low, high)
    if not (below and above):
        name = f"clip to at least {number(low)}" if below else f"clip to at most {number(high)}"
        numbers = (low,) if below else (high,)
    elif low == 0:
        name, numbers = f"relu up to {number(high)}", (high,)
    return Found("activation", name, digits(np.clip(x, low, high), y), numbers=numbers)


def thresholded(x: Array, y: Array) -> Found | None:
    """The input above a threshold, zero below it."""
    kept = (y == x) & (x != 0)
    if kept.all() or not kept.any() or not (y[~kept] == 0).all():
        return None
    level = float(np.max(x[~kept]))
    return Found("activation", f"zero below {number(level)}", digits(np.where(x > level, x, 0.0), y))


SOLVED = (leaky_relu, scaled_elu, celu, swish, scaled_sigmoid, softplus_beta, clipped, thresholded)


def activation(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """Which function of one element gives the output from the first input; both in any layout, of one shape."""
    x = np.asarray(inputs[0], np.float64)
    if x.shape != output.shape or not _varies(output):
        return
    x, y = x.ravel(), np.asarray(output, np.float64).ravel()
    few = sample(x.size)
    with np.errstate(all="ignore"):
        for name, function in FIXED.items():
            if digits(function(x[few]), y[few]) > 3:
                yield Found("activation", name, digits(function(x), y))
        for solve in SOLVED:
            if (found := solve(x[few], y[few])) and found.digits > 3:
                yield solve(x, y) or found


def scaling(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """The input itself, times a factor, plus a constant, or both."""
    x = np.asarray(inputs[0], np.float64)
    y = np.asarray(output, np.float64)
    if x.shape != y.shape or not _varies(y) or not _varies(x):
        return
    sizes = sorted({*x.shape[1:], *(tensor.shape[-1] for tensor in tensors.values() if tensor.ndim)})
    few = np.unravel_index(sample(x.size), x.shape)
    simpler = -math.inf
    for slope, start in _lines(x[few], y[few]):
        if digits(slope * x[few] + start, y[few]) > 3:
            made = digits(x if (slope, start) == (1.0, 0.0) else slope * x + start, y)
            if made < simpler + MORE:
                continue
            simpler = made
            words = "{0}" if slope == 1 else f"{factor(slope, sizes)} times {{0}}"
            words += f" plus {number(start)}" if start else ""
            name, phrase = words.format("its input"), words
            if words == "{0}":
                name, phrase = "its input unchanged", "{0} itself"
            numbers = tuple(value for value, none in ((slope, 1.0), (start, 0.0)) if value != none)
            yield Found("scaling", name, made, phrase, numbers)


def _lines(x: Array, y: Array) -> Iterator[tuple[float, float]]:
    """Slopes and constants that may make y of x: nothing, a factor, a summand, both."""
    yield 1.0, 0.0
    with np.errstate(all="ignore"):
        ratio, shift = settled(y[x != 0] / x[x != 0]), settled(y - x)
    if ratio and ratio != 1:
        yield ratio, 0.0
    if shift:
        yield 1.0, shift
    if np.isfinite(x).all() and np.isfinite(y).all() and np.ptp(x):
        low, high = int(np.argmin(x)), int(np.argmax(x))
        slope = float((y[high] - y[low]) / (x[high] - x[low]))
        if slope:
            yield slope, float(y[low] - slope * x[low])


def _varies(array: Array) -> bool:
    return bool(array.size > 1 and np.issubdtype(array.dtype, np.number) and np.any(array != array.flat[0]))
