"""Convolutions by their own weights: stride, dilation, padding, and how the kernel is turned."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .found import Array, Found, axes_names, padded
from .linear import biased

ROWS, OUT = 16, 4


def convolution(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """How (batch, *space, in) becomes (batch, *space, out) by `kernel`: turned how, with which stride and padding.

    The first sample is tried, in few rows and channels. A kernel is (*space, in, out), with fewer channels in for
    groups; a depthwise one (*space, channels, multiplier).
    """
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    kernel = tensors.get("kernel")
    if kernel is None or x.ndim not in (3, 4, 5) or kernel.ndim != x.ndim or y.ndim != x.ndim:
        return
    kernel, space = np.asarray(kernel, np.float64), x.ndim - 2
    bias = tensors.get("bias")
    bias = np.asarray(bias, np.float64) if bias is not None and bias.size == y.shape[-1] else None
    plain = kernel.shape[-2:] == (x.shape[-1], y.shape[-1])
    out = min(OUT, y.shape[-1]) if plain else y.shape[-1]
    wanted, added = y[:1, :ROWS, ..., :out], None if bias is None else bias[:out]
    for told, turned in _turned(kernel):
        used = turned[..., :out] if plain else turned
        for stride, dilation in itertools.product((1, 2, 3, 4), (1, 2, 3, 4)):
            for padding in _paddings(x.shape[1:-1], y.shape[1:-1], turned.shape[:space], stride, dilation):
                words = f"convolution with stride {stride}, dilation {dilation}, padding {_told(padding)}"
                for mode in MODES if any(map(any, padding)) else MODES[:1]:
                    made = _convolved(x[:1], used, stride, dilation, padding, mode, wanted.shape)
                    if made is not None:
                        by = "" if mode == MODES[0] else f" by {mode}"
                        yield from biased(f"{words}{by}{told}", made, wanted, added)


MODES = ("constant", "reflect", "edge", "wrap")


def transposed(inputs: Sequence[Array], output: Array, tensors: Mapping[str, Array]) -> Iterator[Found]:
    """How (batch, *space, in) becomes a larger (batch, *space, out) by a `kernel` (*space, out, in), and what is cut.

    The first sample is tried, in few channels. Zeros follow where the result reaches beyond what the kernel gives.
    """
    x, y = np.asarray(inputs[0], np.float64), np.asarray(output, np.float64)
    kernel = tensors.get("kernel")
    if kernel is None or x.ndim not in (3, 4, 5) or kernel.ndim != x.ndim or y.ndim != x.ndim:
        return
    if kernel.shape[-2:] != (y.shape[-1], x.shape[-1]):
        return
    kernel, space = np.asarray(kernel, np.float64)[..., :OUT, :], x.ndim - 2
    wanted = y[:1, ..., :OUT]
    bias = tensors.get("bias")
    added = None if bias is None or bias.size != y.shape[-1] else np.asarray(bias, np.float64)[:OUT]
    flipped = np.flip(kernel, tuple(range(space)))
    for (told, used), stride, dilation in itertools.product(
        (("", kernel), (", kernel flipped", flipped)), (1, 2, 3, 4), (1, 2)
    ):
        reach = [(size - 1) * dilation + 1 for size in kernel.shape[:space]]
        whole = [(old - 1) * stride + far for old, far in zip(x.shape[1:-1], reach, strict=True)]
        cuts = [full - new for full, new in zip(whole, y.shape[1:-1], strict=True)]
        if any(cut <= -2 * stride or cut > 2 * far for cut, far in zip(cuts, reach, strict=True)):
            continue
        spread = _spread(x[:1], used, stride, dilation, whole)
        for before in range(max(max(cuts), 0) + 1):
            part = spread[(slice(None), *(slice(before, before + size) for size in y.shape[1:-1]))]
            short = [(0, new - have) for new, have in zip(wanted.shape, part.shape, strict=True)]
            words = f"transposed convolution with stride {stride}, dilation {dilation}, "
            words += f"cropped by {before} before and {cuts[0] - before} after{told}"
            yield from biased(words, np.pad(part, short), wanted, added)


def _spread(x: Array, kernel: Array, stride: int, dilation: int, whole: Sequence[int]) -> Array:
    space = x.ndim - 2
    made = np.zeros((1, *whole, kernel.shape[-2]))
    for place in itertools.product(*(range(size) for size in kernel.shape[:space])):
        spots = tuple(
            slice(start * dilation, start * dilation + (count - 1) * stride + 1, stride)
            for start, count in zip(place, x.shape[1:-1], strict=True)
        )
        made[(slice(None), *spots)] += x @ kernel[place].T
    return made


def _turned(kernel: Array) -> Iterator[tuple[str, Array]]:
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
    counts = wanted[1:-1]
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
    return padded(padding[0]) if len(set(padding)) == 1 else str(padding)
