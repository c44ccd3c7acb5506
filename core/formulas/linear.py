"""Dense layers by their own weights: kernel turned, bias left out, features in another order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, digits

FEW = 64


def dense(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """How `(…, in)` becomes `(…, out)` by `kernel` (in, out) and `bias` (out), or by a custom layer's one matrix."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if not x.ndim or not y.ndim or not x.size:
        return
    if x.shape[:-1] == y.shape[:-1]:
        yield from _applied(x, y, tensors, "")
    if x.ndim != 3 or y.ndim != 3 or x.shape[0] != y.shape[0]:
        return
    turned, swapped = x.swapaxes(1, 2), "time and channels swapped"
    if x.shape[2] == y.shape[2]:
        yield from _applied(turned, y.swapaxes(1, 2), tensors, f" along time, as if {swapped}")
    if x.shape[2] == y.shape[1]:
        yield from _applied(turned, y, tensors, f", its input with {swapped}")
    if x.shape[1] == y.shape[2]:
        yield from _applied(x, y.swapaxes(1, 2), tensors, f", its result with {swapped}")


def _applied(x: Array, y: Array, tensors: Mapping[str, Array], along: str) -> Iterator[Found]:
    x, y = x.reshape(-1, x.shape[-1])[:FEW], y.reshape(-1, y.shape[-1])[:FEW]
    bias = next((np.asarray(v, np.float64) for v in _first(tensors, "bias") if v.shape == y.shape[-1:]), None)
    for name, kernel in tensors.items():
        if kernel.ndim != 2 or (name != "kernel" and "kernel" in tensors):
            continue
        matrix = np.asarray(kernel, np.float64)
        for words, turned in (("", matrix), (" transposed", matrix.T)):
            if turned.shape != (x.shape[-1], y.shape[-1]):
                continue
            for told, given in _ordered(x):
                yield from biased(f"dense layer with its kernel{words}{along}{told}", given @ turned, y, bias)


def _first(tensors: Mapping[str, Array], name: str) -> list[Array]:
    return [tensors[name]] if name in tensors else [tensor for tensor in tensors.values() if tensor.ndim == 1]


def _ordered(x: Array) -> Iterator[tuple[str, Array]]:
    yield "", x
    features = x.shape[-1]
    for positions in range(2, features // 2 + 1):
        if features % positions == 0:
            channels = features // positions
            moved = x.reshape(-1, positions, channels).swapaxes(1, 2).reshape(x.shape)
            yield f", its input flattened as {channels} channels of {positions} places, channels first", moved
    yield ", its input reversed", x[:, ::-1]


def biased(told: str, made: Array, y: Array, bias: Array | None) -> Iterator[Found]:
    """The result with a bias, without it, and with it twice."""
    if bias is not None and np.any(bias):
        yield Found("linear", told, digits(made + bias, y))
        yield Found("linear", f"{told}, without its bias", digits(made, y))
        yield Found("linear", f"{told}, with its bias added twice", digits(made + 2 * bias, y))
        return
    yield Found("linear", told, digits(made, y))
