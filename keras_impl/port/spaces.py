"""What windows over space, resizes and borders are, from the arguments of their functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...core.port.layer import CUSTOM
from . import geometry
from .given import Arguments, Told, first, number, shape


def pool(role: str) -> Callable[[Arguments, Any], Told]:
    """How a pooling of this role is told."""

    def found(given: Arguments, _: Any) -> Told:
        source = first(given, "inputs", "input", "value")
        word = str(given.get("padding", "valid")).lower()
        form = _format(given.get("data_format"))
        rank = len(source.shape) - 2
        window = _inner(first(given, "pool_size", "ksize"), rank)
        strides = given.get("strides")
        strides = window if strides is None else _inner(strides, rank)
        told = pool_told(role, shape(source), window, strides, word, form)
        return role, told

    return found


def pool_told(
    role: str, source: tuple[int, ...], window: tuple[int, ...], strides: tuple[int, ...], word: str, form: str | None
) -> dict[str, Any]:
    """The settings of a pooling."""
    sizes = geometry.spatial(source, form)
    added = geometry.padding(word, sizes, window, strides, (1,) * len(window))
    told: dict[str, Any] = {"window": window, "strides": strides, "padding": added}
    return told | ({"counts_padding": False} if role == "average_pool" else {})


def convolution(depthwise: bool) -> Callable[[Arguments, Any], Told]:
    """How a convolution is told."""

    def found(given: Arguments, _: Any) -> Told:
        source, kernel = first(given, "inputs", "input"), first(given, "kernel", "filters", "filter")
        rank = len(source.shape) - 2
        form, word = _format(given.get("data_format")), given.get("padding", "valid")
        if not isinstance(word, str):
            return CUSTOM, {}
        dilation = first(given, "dilation_rate", "dilations")
        strides = _inner(1 if given.get("strides") is None else given["strides"], rank)
        told = conv_told(shape(source), shape(kernel)[:rank], strides, word.lower(),
                         _inner(1 if dilation is None else dilation, rank), form)  # fmt: skip
        if depthwise:
            return "depthwise_convolution", {**told, "bias": False}
        channels = shape(source)[1 if form == "channels_first" else -1]
        groups = channels // max(shape(kernel)[rank], 1)
        if groups > 1 and shape(kernel)[rank] == 1:
            return "depthwise_convolution", {**told, "bias": False}
        return "convolution", {**told, "groups": groups, "bias": False}

    return found


def conv_told(
    source: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], word: str, dilation: tuple[int, ...],
    form: str | None,
) -> dict[str, Any]:  # fmt: skip
    """The settings of a convolution whose kernel has these spatial sizes."""
    added = geometry.padding(word, geometry.spatial(source, form), kernel, strides, dilation)
    return {"strides": strides, "padding": added, "dilation": dilation, "padding_mode": "zeros"}


def upsample(given: Arguments, result: Any) -> Told:
    """What a resize is."""
    source = first(given, "images", "inputs")
    form = _format(given.get("data_format"))
    method = str(given.get("interpolation") or given.get("method") or "bilinear")
    plain = not any(given.get(name) for name in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio",
                                                  "preserve_aspect_ratio"))  # fmt: skip
    if not plain:
        return CUSTOM, {"method": method}
    return "upsample", upsample_told(shape(source), shape(result), method, form)


def upsample_told(source: tuple[int, ...], result: tuple[int, ...], method: str, form: str | None) -> dict[str, Any]:
    """The settings of a resize; nearest neighbours are those of the pixels' centres."""
    before, after = geometry.spatial(source, form), geometry.spatial(result, form)
    factor = tuple(_ratio(new, old) for new, old in zip(after, before, strict=True))
    if method == "nearest" and not all(isinstance(one, int) for one in factor):
        method = "nearest-exact"
    return {"factor": factor, "method": method, "aligned": False}


def pad(given: Arguments, _: Any) -> Told:
    """What a border around a batch is: of zeros around its spatial axes alone, or another."""
    source = first(given, "x", "tensor")
    widths = first(given, "pad_width", "paddings")
    mode, value = str(given.get("mode", "constant")).lower(), given.get("constant_values")
    if tf.is_tensor(widths):
        return CUSTOM, {"mode": mode}
    rank = len(source.shape)
    pairs = [(int(a), int(b)) for a, b in np.broadcast_to(np.asarray(widths), (rank, 2))]
    inner = pairs[1:-1] if pairs[-1] == (0, 0) else pairs[2:]
    if rank < 3 or any(map(any, [pairs[0], *(pairs[-1:] if inner == pairs[1:-1] else pairs[1:2])])):
        return CUSTOM, {"mode": mode}
    border = float(number(value or 0.0)) if mode == "constant" else mode
    return ("pad", {"padding": tuple(inner), "mode": border}) if border else ("zero_pad", {"padding": tuple(inner)})


def _format(given: Any) -> str | None:
    if given is None:
        return str(keras.config.image_data_format())
    return "channels_first" if str(given).startswith("NC") or given == "channels_first" else "channels_last"


def _inner(value: Any, rank: int) -> tuple[int, ...]:
    """Sizes of the spatial axes, which TensorFlow may also be given with those of batch and channels."""
    if isinstance(value, (int, np.integer)):
        return (int(value),) * rank
    items = tuple(int(item) for item in value)
    return items[1:-1] if len(items) == rank + 2 else items * rank if len(items) == 1 else items


def _ratio(new: int, old: int) -> int | float:
    return new // old if new % old == 0 else new / old
