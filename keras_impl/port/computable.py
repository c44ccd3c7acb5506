"""What TensorFlow can only compute one way, in another way that comes to the same.

On a CPU a convolution in groups has no gradients; in float64 windows of three axes are not pooled, and channels that
come first are not convolved. A vectorised map cannot do without the graphs that a run does without.
`TimeDistributed` computes step by step, which hides the layer within.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import layers as kl
from keras.src import backend
from keras.src.backend.tensorflow import nn, numpy

from . import geometry
from .patching import Patch

# Layers of which each place along the last axis is computed by itself.
PLACEWISE = (kl.Dense, kl.LayerNormalization, kl.RMSNormalization, kl.Activation, kl.ReLU, kl.LeakyReLU, kl.ELU,
             kl.Softmax, kl.Dropout, kl.Identity)  # fmt: skip


def patches() -> list[Patch]:
    """What has to be replaced while a model runs."""
    return [
        (nn, "conv", _conv), (nn, "conv_transpose", _conv_transpose), (numpy, "signbit", _signbit),
        (tf.nn, "max_pool", _pool(largest)), (tf.nn, "avg_pool", _pool(averaged)),
        (tf, "vectorized_map", _vectorized), (kl.TimeDistributed, "call", _time_distributed),
    ]  # fmt: skip


def _conv(original: Callable[..., Any]) -> Callable[..., Any]:
    def conv(
        inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: Any = None,
        dilation_rate: Any = 1,
    ) -> Any:  # fmt: skip
        if not tf.executing_eagerly():
            return original(inputs, kernel, strides, padding, data_format, dilation_rate)
        if backend.standardize_data_format(data_format) == "channels_first":
            return _turned(conv, inputs, kernel, strides, padding, dilation_rate=dilation_rate)
        channels, each = int(inputs.shape[-1]), int(kernel.shape[-2])
        if channels == each or channels % each:
            return original(inputs, kernel, strides, padding, "channels_last", dilation_rate)
        return grouped(original, inputs, tf.convert_to_tensor(kernel), strides, padding, dilation_rate)

    return conv


def _conv_transpose(original: Callable[..., Any]) -> Callable[..., Any]:
    def conv_transpose(
        inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
        data_format: Any = None, dilation_rate: Any = 1,
    ) -> Any:  # fmt: skip
        if tf.executing_eagerly() and backend.standardize_data_format(data_format) == "channels_first":
            return _turned(original, inputs, kernel, strides, padding, output_padding, dilation_rate=dilation_rate)
        return original(inputs, kernel, strides, padding, output_padding, data_format, dilation_rate)

    return conv_transpose


def _turned(conv: Callable[..., Any], inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """A convolution of channels that come first, for which a CPU has no float64."""
    rank = len(inputs.shape)
    last = tf.transpose(inputs, (0, *range(2, rank), 1))
    return tf.transpose(conv(last, *args, data_format="channels_last", **kwargs), (0, rank - 1, *range(1, rank - 1)))


def _signbit(original: Callable[..., Any]) -> Callable[..., Any]:
    """Keras looks for a sign, as its argmax does, among the bits of a float32, of which a run in float64 has none."""

    def signbit(x: Any) -> Any:
        x = tf.convert_to_tensor(x)
        return tf.less(tf.bitcast(x, tf.int64), 0) if x.dtype == tf.float64 else original(x)

    return signbit


def grouped(conv: Callable[..., Any], inputs: Any, kernel: Any, strides: Any, padding: str, dilation: Any) -> Any:
    """A convolution in groups, channels last: depthwise where each channel is a group of its own, else one by one."""
    groups = int(inputs.shape[-1]) // int(kernel.shape[-2])
    rank = len(inputs.shape) - 2
    strides, dilation = geometry.spread(strides, rank), geometry.spread(dilation, rank)
    form = "channels_last"
    if int(kernel.shape[-2]) == 1 and rank < 3 and len(set(strides)) == 1 and padding in ("valid", "same"):
        depthwise = tf.reshape(kernel, (*kernel.shape[:-2], groups, int(kernel.shape[-1]) // groups))
        return nn.depthwise_conv(inputs, depthwise, strides, padding, form, dilation)
    pairs = zip(tf.split(inputs, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([conv(x, w, strides, padding, form, dilation) for x, w in pairs], -1)


def _pool(pooled: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def change(original: Callable[..., Any]) -> Callable[..., Any]:
        def pool(input: Any, ksize: Any, strides: Any, padding: Any, data_format: Any = None, name: Any = None) -> Any:
            plain = padding in ("SAME", "VALID") and data_format in (None, "NDHWC")
            if len(input.shape) != 5 or input.dtype != tf.float64 or not plain or not tf.executing_eagerly():
                return original(input, ksize, strides, padding, data_format, name)
            return pooled(input, geometry.spread(ksize, 3), geometry.spread(strides, 3), padding.lower())

        return pool

    return change


def largest(x: Any, window: tuple[int, ...], strides: tuple[int, ...], word: str) -> Any:
    """The largest number of each window of (batch, *space, channels); the first of several has the gradient."""
    stacked = _windows(x, window, strides, word, float("-inf"))
    return tf.gather(stacked, tf.argmax(stacked, -1), axis=-1, batch_dims=len(stacked.shape) - 1)


def averaged(x: Any, window: tuple[int, ...], strides: tuple[int, ...], word: str) -> Any:
    """The mean of each window of (batch, *space, channels), of what lies within."""
    counts = _windows(tf.ones_like(x), window, strides, word, 0.0)
    return tf.reduce_sum(_windows(x, window, strides, word, 0.0), -1) / tf.reduce_sum(counts, -1)


def _windows(x: Any, window: tuple[int, ...], strides: tuple[int, ...], word: str, border: float) -> Any:
    """The numbers of every window along a last axis."""
    sizes = tuple(int(size) for size in x.shape[1:-1])
    added = geometry.padding(word, sizes, window, strides, (1,) * len(window))
    x = tf.pad(x, ((0, 0), *added, (0, 0)), constant_values=tf.constant(border, x.dtype))
    counts = [(int(size) - one) // step + 1 for size, one, step in zip(x.shape[1:-1], window, strides, strict=True)]
    parts = []
    for start in itertools.product(*map(range, window)):
        cut = [slice(at, at + (count - 1) * step + 1, step)
               for at, count, step in zip(start, counts, strides, strict=True)]  # fmt: skip
        parts.append(x[(slice(None), *cut, slice(None))])
    return tf.stack(parts, -1)


def _vectorized(original: Callable[..., Any]) -> Callable[..., Any]:
    def vectorized_map(*args: Any, **kwargs: Any) -> Any:
        eager = tf.config.functions_run_eagerly()
        try:
            tf.config.run_functions_eagerly(False)
            return original(*args, **kwargs)
        finally:
            tf.config.run_functions_eagerly(eager)

    return vectorized_map


def _time_distributed(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        inner = self.layer
        if mask is not None or inner.non_trainable_weights or not tf.executing_eagerly():
            return original(self, inputs, training, mask)
        mode = {"training": training} if inner._call_has_training_arg else {}
        if isinstance(inner, PLACEWISE):
            return inner(inputs, **mode)
        merged = tf.reshape(inputs, (-1, *inputs.shape[2:]))
        result = inner(merged, **mode)
        return tf.reshape(result, (*inputs.shape[:2], *result.shape[1:]))

    return call
