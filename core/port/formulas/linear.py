"""Dense layers and convolutions by their own weights: kernel turned, bias left out, features in another order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, axes_names, digits, number

FEW = 64


def dense(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """How `(…, in)` becomes `(…, out)` by `kernel` (in, out) and `bias` (out), or by a custom layer's one matrix."""
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    if not x.ndim or not y.ndim or x.shape[:-1] != y.shape[:-1] or not x.size:
        return
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
                yield from _biased(f"dense layer with its kernel{words}{told}", given @ turned, y, bias)


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


def _biased(told: str, made: Array, y: Array, bias: Array | None) -> Iterator[Found]:
    if bias is not None and np.any(bias):
        yield Found("linear", told, digits(made + bias, y))
        yield Found("linear", f"{told}, without its bias", digits(made, y))
        yield Found("linear", f"{told}, with its bias added twice", digits(made + 2 * bias, y))
        return
    yield Found("linear", told, digits(made, y))


def convolution(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """How `(batch, *space, in)` becomes `(batch, *space, out)` by `kernel`: turned how, with which stride and padding.

    The first sample is tried, in at most 32 rows. A kernel is `(*space, in, out)`, with fewer channels in for groups;
    a depthwise one `(*space, channels, multiplier)`.
    """
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    kernel = tensors.get("kernel")
    if kernel is None or x.ndim not in (3, 4, 5) or kernel.ndim != x.ndim or y.ndim != x.ndim:
        return
    kernel = np.asarray(kernel, np.float64)
    bias = tensors.get("bias")
    bias = None if bias is None else np.asarray(bias, np.float64)
    space = x.ndim - 2
    for told, turned in _turned(kernel, x.shape[-1], y.shape[-1]):
        for stride, dilation in itertools.product((1, 2, 3, 4), (1, 2, 3, 4)):
            for padding in _paddings(x.shape[1:-1], y.shape[1:-1], turned.shape[:space], stride, dilation):
                for mode in ("constant", "reflect", "edge", "wrap") if any(map(any, padding)) else ("constant",):
                    made = _convolved(x[:1], turned, stride, dilation, padding, mode, y.shape)
                    if made is None:
                        continue
                    rows = made.shape[1]
                    words = f"convolution with stride {stride}, dilation {dilation}, padding {_told(padding)}"
                    words += {"constant": ""}.get(mode, f" by {mode}")
                    yield from _biased(
                        words + told,
                        made,
                        y[:1, :rows],
                        bias if bias is not None and bias.size == y.shape[-1] else None,
                    )


def _turned(kernel: Array, channels: int, out: int) -> Iterator[tuple[str, Array]]:
    space = tuple(range(kernel.ndim - 2))
    sizes = kernel.shape[:-2]
    yield "", kernel
    if any(size > 1 for size in sizes):
        yield ", kernel flipped", np.flip(kernel, space)
    for order in itertools.permutations(space):
        if order != space and tuple(sizes[axis] for axis in order) == sizes and any(size > 1 for size in sizes):
            moved = kernel.transpose((*order, *range(kernel.ndim - 2, kernel.ndim)))
            yield f", kernel with {axes_names([axis + 1 for axis in space], kernel.ndim)} swapped", moved
    if kernel.shape[-1] == kernel.shape[-2]:
        yield ", kernel with its channels in and out swapped", np.swapaxes(kernel, -1, -2)


def _paddings(
    given: Sequence[int], wanted: Sequence[int], sizes: Sequence[int], stride: int, dilation: int
) -> Iterator[tuple[tuple[int, int], ...]]:
    """The paddings that give the wanted size: none, symmetric, more at the end, all before, alike on all axes."""
    choices = []
    for old, new, size in zip(given, wanted, sizes, strict=True):
        reach = (size - 1) * dilation + 1
        least = max((new - 1) * stride + reach - old, 0)
        totals = [total for total in range(least, least + stride) if (old + total - reach) // stride + 1 == new]
        kept = [
            (before, total - before)
            for total in totals
            for before in sorted({total // 2, total, 0, (total + 1) // 2})
            if total <= 2 * reach
        ]
        choices.append(sorted(dict.fromkeys(kept), key=lambda pair: (abs(pair[0] - pair[1]), pair[0])))
    if all(choices):
        for alike in dict.fromkeys(choices[0]):
            if all(alike in choice for choice in choices):
                yield (alike,) * len(choices)
        first = tuple(choice[0] for choice in choices)
        if len(set(first)) > 1:
            yield first


def _convolved(
    x: Array,
    kernel: Array,
    stride: int,
    dilation: int,
    padding: tuple[tuple[int, int], ...],
    mode: str,
    wanted: tuple[int, ...],
) -> Array | None:
    space = x.ndim - 2
    if mode == "reflect" and any(max(pad) >= size for pad, size in zip(padding, x.shape[1:-1], strict=True)):
        return None
    if mode == "wrap" and any(max(pad) > size for pad, size in zip(padding, x.shape[1:-1], strict=True)):
        return None
    wide = np.pad(x, [(0, 0), *padding, (0, 0)], mode=mode)  # type: ignore[call-overload]
    rows = min(wanted[1], 32)
    counts = (rows, *wanted[2:-1])
    channels, out = x.shape[-1], wanted[-1]
    inner, last = kernel.shape[-2:]
    if inner == channels and last == out:
        groups = 1
    elif channels % inner == 0 and last == out and out % (channels // inner) == 0:
        groups = channels // inner
    elif inner == channels and inner * last == out:
        kernel, groups = kernel.reshape(*kernel.shape[:-2], 1, out), channels
    else:
        return None
    made = np.zeros((1, *counts, out))
    width = channels // groups
    for place in itertools.product(*(range(size) for size in kernel.shape[:space])):
        seen = wide[
            (
                slice(None),
                *(
                    slice(start * dilation, start * dilation + (count - 1) * stride + 1, stride)
                    for start, count in zip(place, counts, strict=True)
                ),
            )
        ]
        if seen.shape[1:-1] != counts:
            return None
        if groups == 1:
            made += seen @ kernel[place]
        else:
            split = seen.reshape(*seen.shape[:-1], groups, width)
            weights = kernel[place].reshape(width, groups, out // groups)
            made += np.einsum("...gi,igo->...go", split, weights).reshape(made.shape)
    return made


def _told(padding: tuple[tuple[int, int], ...]) -> str:
    if len(set(padding)) == 1:
        before, after = padding[0]
        return number(before) if before == after else f"{before} before and {after} after"
    return str(padding)
