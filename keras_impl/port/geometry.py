"""What a window really sees: the padding that each word of Keras comes to on the observed input."""

from __future__ import annotations

from collections.abc import Sequence

Padding = tuple[tuple[int, int], ...]


def spread(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """A number for each spatial axis."""
    items = (int(value),) if isinstance(value, int) else tuple(int(item) for item in value)
    return items * rank if len(items) == 1 else items


def spatial(shape: Sequence[int], data_format: str | None) -> tuple[int, ...]:
    """The sizes of the spatial axes of a batch."""
    return tuple(shape[2:]) if data_format == "channels_first" else tuple(shape[1:-1])


def padding(
    word: str, sizes: Sequence[int], window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Padding:
    """What is added before and after each spatial axis: nothing, `same` or `causal`."""
    reach = [(one - 1) * step + 1 for one, step in zip(window, dilation, strict=True)]
    if word == "causal":
        return tuple((one - 1, 0) for one in reach)
    if word != "same":
        return tuple((0, 0) for _ in sizes)
    found = []
    for size, one, stride in zip(sizes, reach, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + one - size, 0)
        found.append((total // 2, total - total // 2))
    return tuple(found)


def cropping(
    sizes: Sequence[int], outputs: Sequence[int], window: Sequence[int], strides: Sequence[int],
    dilation: Sequence[int], word: str,
) -> Padding:  # fmt: skip
    """What a transposed convolution cuts off before and after each spatial axis of all that it could give."""
    found = []
    for size, given, one, stride, step in zip(sizes, outputs, window, strides, dilation, strict=True):
        reach = (one - 1) * step + 1
        whole = (size - 1) * stride + reach
        before = max(whole - given, 0) // 2 if word == "same" else 0
        found.append((before, whole - given - before))
    return tuple(found)
