"""What TensorFlow can only compute one way, in another way that comes to the same.

On a CPU a convolution in groups has no gradients. `TimeDistributed` computes step by step, which hides the layer within.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import layers as kl
from keras.src import backend
from keras.src.backend.tensorflow import nn

from .patching import Patch

# Layers of which each place along the last axis is computed by itself.
PLACEWISE = (kl.Dense, kl.LayerNormalization, kl.RMSNormalization, kl.Activation, kl.ReLU, kl.LeakyReLU, kl.ELU,
             kl.Softmax, kl.Dropout, kl.Identity)  # fmt: skip


def patches() -> list[Patch]:
    """What has to be replaced while a model runs."""
    return [(nn, "conv", _conv), (kl.TimeDistributed, "call", _time_distributed)]


def _conv(original: Callable[..., Any]) -> Callable[..., Any]:
    def conv(
        inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: Any = None,
        dilation_rate: Any = 1,
    ) -> Any:  # fmt: skip
        last = backend.standardize_data_format(data_format) == "channels_last"
        channels, each = int(inputs.shape[-1 if last else 1]), int(kernel.shape[-2])
        if channels == each or channels % each or not tf.executing_eagerly():
            return original(inputs, kernel, strides, padding, data_format, dilation_rate)
        return grouped(original, inputs, tf.convert_to_tensor(kernel), strides, padding, data_format, dilation_rate)

    return conv


def grouped(
    conv: Callable[..., Any], inputs: Any, kernel: Any, strides: Any, padding: str, data_format: Any, dilation: Any
) -> Any:
    """A convolution in groups: depthwise where each channel is a group of its own, else group by group."""
    last = backend.standardize_data_format(data_format) == "channels_last"
    axis = -1 if last else 1
    groups = int(inputs.shape[axis]) // int(kernel.shape[-2])
    rank = len(inputs.shape) - 2
    strides = (strides,) * rank if isinstance(strides, int) else tuple(strides)
    dilation = (dilation,) * rank if isinstance(dilation, int) else tuple(dilation)
    if int(kernel.shape[-2]) == 1 and rank < 3 and len(set(strides)) == 1 and padding in ("valid", "same"):
        depthwise = tf.reshape(kernel, (*kernel.shape[:-2], groups, int(kernel.shape[-1]) // groups))
        return nn.depthwise_conv(inputs, depthwise, strides, padding, data_format, dilation)
    pairs = zip(tf.split(inputs, groups, axis), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([conv(x, w, strides, padding, data_format, dilation) for x, w in pairs], axis)


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
