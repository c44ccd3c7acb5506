"""The settings of what goes over spatial axes: convolutions, poolings, paddings and resizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Values = Mapping[str, Any]
Shape = tuple[int, ...]
Described = tuple[str, dict[str, Any]]
Padding = tuple[tuple[int, int], ...]


# What PyTorch calls one way on one spatial axis, another way on two and a third on three.
METHODS = {"linear": "bilinear", "trilinear": "bilinear", "nearest-exact": "nearest"}


def spread(value: Any, rank: int) -> tuple[Any, ...]:
    """One value for each spatial axis."""
    found = tuple(value) if isinstance(value, Sequence | torch.Size) else (value,)
    return found * rank if len(found) == 1 else found


def _rank(values: Values) -> int:
    return int(values["weight"].ndim) - 2


def _pairs(padding: Any, kernel: Sequence[int], dilation: Sequence[int]) -> Padding:
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    return tuple((int(size), int(size)) for size in spread(padding, len(kernel)))


def convolution(values: Values, before: Shape, after: Shape) -> Described:
    """Of a convolution, depthwise or not."""
    rank, kernel = _rank(values), tuple(values["weight"].shape[2:])
    dilation = spread(values["dilation"], rank)
    found = {
        "strides": spread(values["stride"], rank),
        "padding": _pairs(values["padding"], kernel, dilation),
        "dilation": dilation,
        "bias": values["bias"] is not None,
        "padding_mode": values.get("padding_mode", "zeros"),
    }
    groups, channels = int(values["groups"]), int(values["weight"].shape[1]) * int(values["groups"])
    if groups == channels > 1:
        return "depthwise_convolution", found
    return "convolution", found | {"groups": groups}


def transposed(values: Values, before: Shape, after: Shape) -> Described:
    """Of a transposed convolution, whose padding is what is cut off."""
    rank = _rank(values)
    extra = spread(values["output_padding"], rank)
    return "transposed_convolution", {
        "strides": spread(values["stride"], rank),
        "padding": tuple((p, p - more) for p, more in zip(spread(values["padding"], rank), extra, strict=True)),
        "dilation": spread(values["dilation"], rank),
        "groups": int(values["groups"]),
        "bias": values["bias"] is not None,
    }


def pool_rank(values: Values, before: Shape, after: Shape) -> int:
    """The number of spatial axes of a pooling."""
    found = values.get("rank")
    return int(found) if found else len(before) - 2


def _pool(values: Values, before: Shape, after: Shape) -> dict[str, Any]:
    rank = pool_rank(values, before, after)
    window = spread(values["kernel_size"], rank)
    given = values["stride"]
    strides = window if given is None or given == [] else spread(given, rank)
    dilation = spread(values.get("dilation", 1), rank)
    padding = []
    for axis in range(rank):
        size, out, p = before[len(before) - rank + axis], after[len(after) - rank + axis], values["padding"]
        p = int(spread(p, rank)[axis])
        reach = (out - 1) * strides[axis] + dilation[axis] * (window[axis] - 1) + 1
        padding.append((p, p + max(0, reach - size - 2 * p)))
    found = {"window": window, "strides": strides, "padding": tuple(padding)}
    return found | ({"dilation": dilation} if any(d != 1 for d in dilation) else {})


def max_pool(values: Values, before: Shape, after: Shape) -> Described:
    """Of a max pooling."""
    return "max_pool", _pool(values, before, after)


def average_pool(values: Values, before: Shape, after: Shape) -> Described:
    """Of an average pooling."""
    found = _pool(values, before, after)
    counts = bool(values["count_include_pad"]) and any(any(pair) for pair in found["padding"])
    return "average_pool", found | {"counts_padding": counts}


def adaptive(word: str) -> Callable[[Values, Shape, Shape], Described]:
    """Of a pooling to a given size, which may be one of a window, a global one or none; `word` is max or average."""

    def read(values: Values, before: Shape, after: Shape) -> Described:
        rank = pool_rank(values, before, after)
        sizes, outs = before[-rank:], after[-rank:]
        if sizes == outs:
            return "identity", {}
        if all(out == 1 for out in outs):
            return f"global_{word}_pool", {}
        if all(size % out == 0 for size, out in zip(sizes, outs, strict=True)):
            window = tuple(size // out for size, out in zip(sizes, outs, strict=True))
            found = {"window": window, "strides": window, "padding": ((0, 0),) * rank}
            return f"{word}_pool", found | ({"counts_padding": False} if word == "average" else {})
        return f"adaptive_{word}_pool", {"sizes": outs}

    return read


def upsample(values: Values, before: Shape, after: Shape) -> Described:
    """Of a resize."""
    ratios = [out / size for size, out in zip(before[2:], after[2:], strict=True)]
    return "upsample", {
        "factor": tuple(int(ratio) if ratio == int(ratio) else ratio for ratio in ratios),
        "method": METHODS.get(values["mode"], values["mode"]),
        "aligned": bool(values["align_corners"]),
    }


def pad(values: Values, before: Shape, after: Shape) -> Described:
    """Of a padding with zeros or with something else."""
    given = list(values["pad"] if "pad" in values else spread(values["padding"], 2 * (len(before) - 2)))
    pairs = tuple(zip(given[::2], given[1::2], strict=True))[::-1]
    mode, value = values.get("mode", "constant"), values.get("value") or 0
    if mode == "constant" and value == 0:
        return "zero_pad", {"padding": pairs}
    return "pad", {"padding": pairs, "mode": float(value) if mode == "constant" else mode}


def reflected(values: Values, before: Shape, after: Shape) -> Described:
    """Of a padding with what is mirrored."""
    return pad({"padding": values["padding"], "mode": "reflect"}, before, after)


def replicated(values: Values, before: Shape, after: Shape) -> Described:
    """Of a padding with what is at the edge."""
    return pad({"padding": values["padding"], "mode": "replicate"}, before, after)
