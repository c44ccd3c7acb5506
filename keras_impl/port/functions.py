"""Functions of Keras and TensorFlow by name: the role of a call, and its settings, from its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...core.port.layer import CUSTOM
from . import geometry

Told = tuple[str, dict[str, Any]]
Arguments = Mapping[str, Any]


def tell(name: str, original: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> Told:
    """The role and the settings of one call of a function; its own name, in PyTorch's words, for one without a role."""
    found = TOLD.get(name)
    if found is None:
        return PLAIN.get(name, name), {}
    role, told = found(bound(original, args, kwargs), result)
    return (PLAIN.get(name, name) if role == CUSTOM else role), told


def bound(original: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a call by name, with the defaults; by position where a function does not tell its own."""
    try:
        found = inspect.signature(original).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    found.apply_defaults()
    return dict(found.arguments)


def first(given: Arguments, *names: str) -> Any:
    """The first of these arguments that there is."""
    for name in names:
        if given.get(name) is not None:
            return given[name]
    return None


def number(value: Any) -> Any:
    """A Python number of a number, an array or a tensor of one."""
    array = np.asarray(value)
    return array.item() if array.ndim == 0 and array.dtype != object else value


def shape(value: Any) -> tuple[int, ...]:
    """The shape of an array, tensor or variable."""
    return tuple(int(size) for size in value.shape)


# Without settings, under every name that has them.
PLAIN = {
    "relu": "relu", "relu6": "relu6", "sigmoid": "sigmoid", "tanh": "tanh", "silu": "silu", "swish": "silu",
    "softplus": "softplus", "softsign": "softsign", "selu": "selu", "hard_sigmoid": "hard_sigmoid",
    "hard_silu": "hard_swish", "hard_swish": "hard_swish", "log_sigmoid": "log_sigmoid", "exp": "exponential",
    "mish": "mish", "add": "add", "bias_add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide",
    "true_divide": "divide", "truediv": "divide", "matmul": "matmul", "dot": "matmul", "concatenate": "concatenate",
    "concat": "concatenate", "sum": "sum", "reduce_sum": "sum",
    "reshape": "reshape", "transpose": "permute", "swapaxes": "permute", "moveaxis": "permute", "squeeze": "squeeze",
    "expand_dims": "unsqueeze", "ravel": "flatten", "split": "split", "unstack": "split", "getitem": "slice",
    "slice": "slice", "strided_slice": "slice", "stack": "stack", "cast": "cast", "broadcast_to": "expand",
    "tile": "expand", "repeat": "expand", "identity": "identity", "stop_gradient": "identity", "copy": "identity",
    "take": "slice", "gather": "slice", "take_along_axis": "slice",
    "absolute": "abs", "clip": "clamp", "clip_by_value": "clamp", "power": "pow", "negative": "neg", "std": "deviation",
    "reduce_std": "deviation", "max": "maximum", "reduce_max": "maximum", "min": "minimum", "reduce_min": "minimum",
    "keras_relu": "hardtanh",
}  # fmt: skip
OPERATORS = {"__add__": "add", "__radd__": "add", "__sub__": "subtract", "__rsub__": "subtract", "__mul__": "multiply",
             "__rmul__": "multiply", "__truediv__": "divide", "__rtruediv__": "divide", "__matmul__": "matmul",
             "__rmatmul__": "matmul", "__getitem__": "getitem", "__pow__": "power", "__rpow__": "power",
             "__neg__": "negative"}  # fmt: skip


def _gelu(given: Arguments, _: Any) -> Told:
    return "gelu", {"approximate": bool(given.get("approximate", False))}


def _leaky(given: Arguments, _: Any) -> Told:
    return "leaky_relu", {"slope": float(number(first(given, "negative_slope", "alpha")))}


def _relu(given: Arguments, _: Any) -> Told:
    """Keras's own `relu`, with its three arguments."""
    slope, top, threshold = (given.get(name) for name in ("negative_slope", "max_value", "threshold"))
    slope, threshold = float(number(slope or 0.0)), float(number(threshold or 0.0))
    if threshold == 0 and top is None:
        return ("leaky_relu", {"slope": slope}) if slope else ("relu", {})
    if threshold == 0 and slope == 0 and float(number(top)) == 6:
        return "relu6", {}
    if threshold == 0 and slope == 0:
        return "hardtanh", {"least": 0.0, "most": float(number(top))}
    return "thresholded_relu", {"slope": slope, "most": top, "threshold": threshold}


def _elu(given: Arguments, _: Any) -> Told:
    return "elu", {"alpha": float(number(given.get("alpha", 1.0)))}


def axis_told(axis: int, rank: int) -> int:
    """An axis counted from the end: -1 for the last one."""
    return axis if axis < 0 else axis - rank


def _softmax(role: str) -> Callable[[Arguments, Any], Told]:
    def found(given: Arguments, result: Any) -> Told:
        axis = given.get("axis")
        if not isinstance(axis, (int, np.integer)):
            axis = -1 if axis is None or len(axis) != 1 else axis[0]
        return role, {"axis": axis_told(int(axis), len(result.shape))}

    return found


def _pool(role: str) -> Callable[[Arguments, Any], Told]:
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


def conv_told(
    source: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], word: str, dilation: tuple[int, ...],
    form: str | None,
) -> dict[str, Any]:  # fmt: skip
    """The settings of a convolution whose kernel has these spatial sizes."""
    added = geometry.padding(word, geometry.spatial(source, form), kernel, strides, dilation)
    return {"strides": strides, "padding": added, "dilation": dilation, "padding_mode": "zeros"}


def _convolution(depthwise: bool) -> Callable[[Arguments, Any], Told]:
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


def _mean(role: str, whole: str) -> Callable[[Arguments, Any], Told]:
    """A mean or a maximum, which over all spatial axes is a global pooling."""

    def found(given: Arguments, _: Any) -> Told:
        source = first(given, "x", "input_tensor")
        axis = given.get("axis")
        rank = len(source.shape)
        axes = sorted(one % rank for one in ([axis] if isinstance(axis, (int, np.integer)) else axis or range(rank)))
        if rank > 3 and axes in (list(range(1, rank - 1)), list(range(2, rank))):
            return whole, {}
        return role, {}

    return found


def _variance(given: Arguments, _: Any) -> Told:
    return "variance", {"unbiased": False}


def _attention(given: Arguments, _: Any) -> Told:
    depth = shape(given["query"])[-1]
    scale = given.get("scale")
    causal, masked = masking(given.get("mask"))
    return "scaled_dot_product_attention", {
        "scale": float(number(scale)) if scale is not None else depth**-0.5,
        "causal": bool(given.get("is_causal")) or causal, "masked": masked, "dropout": 0.0,
    }  # fmt: skip


ATTEND, ADDED = "attend", "added"


def masking(mask: Any) -> tuple[bool, str | None]:
    """Whether a mask shows each place those up to itself alone, and otherwise what True means in it."""
    if mask is None:
        return False, None
    shown = np.asarray(mask)
    lower = shown.ndim > 1 and shown.shape[-1] == shown.shape[-2] > 1
    lower = lower and bool(np.array_equal(shown != 0, np.broadcast_to(np.tri(shown.shape[-1]) != 0, shown.shape)))
    return (True, None) if lower else (False, ATTEND)


def _layer_norm(given: Arguments, _: Any) -> Told:
    axis = given.get("axis", -1)
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    return "layer_norm", {"epsilon": float(number(given.get("epsilon") or 0.0)), "axes": len(axes)}


def _rms_norm(given: Arguments, _: Any) -> Told:
    epsilon = given.get("epsilon")
    return "rms_norm", {"epsilon": float(number(keras.config.epsilon() if epsilon is None else epsilon))}


def _batch_norm(given: Arguments, _: Any) -> Told:
    return "batch_norm", {"epsilon": float(number(first(given, "epsilon", "variance_epsilon") or 0.0)), "frozen": True}


def _l2(given: Arguments, _: Any) -> Told:
    order, epsilon = given.get("order", 2), given.get("epsilon")
    if order != 2:
        return CUSTOM, {"order": order}
    return "l2_normalise", {"epsilon": 1e-12 if epsilon is None else float(number(epsilon))}


def _upsample(given: Arguments, result: Any) -> Told:
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


def _ratio(new: int, old: int) -> int | float:
    return new // old if new % old == 0 else new / old


def _pad(given: Arguments, _: Any) -> Told:
    source = first(given, "x", "tensor")
    widths = first(given, "pad_width", "paddings")
    mode, value = str(given.get("mode", "constant")).lower(), given.get("constant_values")
    if mode != "constant" or (value is not None and number(value) != 0) or tf.is_tensor(widths):
        return CUSTOM, {"mode": mode}
    rank = len(source.shape)
    pairs = [(int(a), int(b)) for a, b in np.broadcast_to(np.asarray(widths), (rank, 2))]
    inner = pairs[1:-1] if pairs[-1] == (0, 0) else pairs[2:]
    if rank < 3 or any(map(any, [pairs[0], *(pairs[-1:] if inner == pairs[1:-1] else pairs[1:2])])):
        return CUSTOM, {"mode": mode}
    return "zero_pad", {"padding": tuple(inner)}


def _dropout(given: Arguments, _: Any) -> Told:
    return "dropout", {"rate": float(number(given.get("rate", 0.0))), "broadcast": 0}


TOLD: dict[str, Callable[[Arguments, Any], Told]] = {
    "gelu": _gelu, "leaky_relu": _leaky, "keras_relu": _relu, "elu": _elu,
    "softmax": _softmax("softmax"), "log_softmax": _softmax("log_softmax"),
    "max_pool": _pool("max_pool"), "max_pool1d": _pool("max_pool"), "max_pool2d": _pool("max_pool"),
    "max_pool3d": _pool("max_pool"), "average_pool": _pool("average_pool"), "avg_pool": _pool("average_pool"),
    "avg_pool1d": _pool("average_pool"), "avg_pool2d": _pool("average_pool"), "avg_pool3d": _pool("average_pool"),
    "conv": _convolution(False), "conv1d": _convolution(False), "conv2d": _convolution(False),
    "conv3d": _convolution(False), "convolution": _convolution(False), "depthwise_conv": _convolution(True),
    "depthwise_conv2d": _convolution(True),
    "mean": _mean("mean", "global_average_pool"), "reduce_mean": _mean("mean", "global_average_pool"),
    "max": _mean(CUSTOM, "global_max_pool"), "reduce_max": _mean(CUSTOM, "global_max_pool"),
    "var": _variance, "reduce_variance": _variance, "dot_product_attention": _attention,
    "layer_normalization": _layer_norm, "rms_normalization": _rms_norm, "batch_normalization": _batch_norm,
    "hard_tanh": lambda given, result: ("hardtanh", {"least": -1.0, "most": 1.0}),
    "normalize": _l2, "l2_normalize": _l2, "resize": _upsample, "pad": _pad, "dropout": _dropout,
}  # fmt: skip
