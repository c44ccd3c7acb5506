"""Windows over a batch whose border is given number by number, as Keras's own words for padding cannot say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src.backend.tensorflow import nn

Padding = Sequence[tuple[int, int]]
MODES = {"reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}


def axes_of(x: Any, form: str | None) -> range:
    """The spatial axes of a batch."""
    return range(2, len(x.shape)) if form == "channels_first" else range(1, len(x.shape) - 1)


def bordered(x: Any, padding: Padding, form: str | None, mode: str = "zeros", value: float = 0.0) -> Any:
    """A batch with so much added before and after each spatial axis; where it is negative, cut off."""
    axes = axes_of(x, form)
    if mode != "zeros":
        for axis, (before, after) in zip(axes, padding, strict=True):
            places = np.pad(np.arange(int(x.shape[axis])), (before, after), mode=MODES[mode])
            x = tf.gather(x, places, axis=axis)
        return x
    widths = np.zeros((len(x.shape), 2), dtype=int)
    cut = [slice(None)] * len(x.shape)
    for axis, (before, after) in zip(axes, padding, strict=True):
        widths[axis] = max(before, 0), max(after, 0)
        cut[axis] = slice(max(-before, 0), int(x.shape[axis]) - max(-after, 0))
    return tf.pad(x[tuple(cut)], widths, constant_values=tf.constant(value, x.dtype))


def pooled(role: str, x: Any, told: dict[str, Any], form: str | None) -> Any:
    """A maximum or a mean over windows; `counts_padding` says whether the border counts in the mean."""
    size = (told["window"], told["strides"], "valid", form)
    if role == "max_pool":
        return nn.max_pool(bordered(x, told["padding"], form, value=float("-inf")), *size)
    total = nn.average_pool(bordered(x, told["padding"], form), *size)
    if told.get("counts_padding"):
        return total
    return total / nn.average_pool(bordered(tf.ones_like(x), told["padding"], form), *size)


def transposed(x: Any, kernel: Any, bias: Any, told: dict[str, Any], form: str | None) -> Any:
    """A transposed convolution of which so much is cut off before and after each spatial axis."""
    whole = nn.conv_transpose(x, kernel, told["strides"], "valid", None, form, told["dilation"])
    given = bordered(whole, [(-before, -after) for before, after in told["padding"]], form)
    if bias is None:
        return given
    shape = (1, -1, *(1 for _ in told["strides"])) if form == "channels_first" else (-1,)
    return given + tf.reshape(bias, shape)
