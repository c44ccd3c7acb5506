"""A separable convolution, which is two layers in PyTorch: its depthwise and its pointwise part are steps each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from .given import shape
from .replaying import Call
from .spaces import conv_told


def noted(recorder: Any, original: Callable[..., Any], layer: Any, path: str, args: Any, kwargs: Any) -> Any:
    """Make the call of a separable convolution, and tell the recorder of both of its steps."""
    with recorder.apart(layer, path) as applied, recorder.hiding():
        result = original(layer, *args, **kwargs)
        x = args[0] if args else kwargs["inputs"]
        between = _depthwise(layer)(x)
    ended = applied[0][0] if len(applied) == 1 else result
    told = conv_told(shape(x), layer.kernel_size, layer.strides, layer.padding,
                               layer.dilation_rate, layer.data_format)  # fmt: skip
    ones = (1,) * layer.rank
    plain = conv_told(shape(between), ones, ones, "valid", ones, layer.data_format)
    names, _ = recorder.weights(layer)
    first = Call(_depthwise(layer), ((x,), {}), layer, tensors=tuple(names[:1]))
    recorder.note(f"{path}/depthwise", ("depthwise_convolution", {**told, "bias": False}), first, between,
                  f"{path}/depthwise")  # fmt: skip
    bias = {"groups": 1, "bias": layer.use_bias}
    second = Call(_pointwise(layer, len(applied) != 1), ((between,), {}), layer, tensors=tuple(names[1:]))
    recorder.note(f"{path}/pointwise", ("convolution", {**plain, **bias}), second, ended, f"{path}/pointwise")
    recorder.after(applied, f"{path}/pointwise")
    return result


def _depthwise(layer: Any) -> Callable[[Any], Any]:
    def depthwise(x: Any) -> Any:
        return ops.depthwise_conv(x, layer.depthwise_kernel, layer.strides, layer.padding, layer.data_format,
                                  layer.dilation_rate)  # fmt: skip

    return depthwise


def _pointwise(layer: Any, activated: bool) -> Callable[[Any], Any]:
    def pointwise(x: Any) -> Any:
        y = ops.conv(x, layer.pointwise_kernel, 1, "valid", layer.data_format)
        if layer.use_bias:
            spaces = (1,) * layer.rank
            shape = (1, *spaces, -1) if layer.data_format == "channels_last" else (1, -1, *spaces)
            y = ops.add(y, ops.reshape(layer.bias, shape))
        return layer.activation(y) if activated and layer.activation is not None else y

    return pointwise
