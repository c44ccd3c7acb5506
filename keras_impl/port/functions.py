"""Functions of Keras and TensorFlow by name: the role of a call, and its settings, from its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ...core.port.layer import CUSTOM
from . import spaces
from .given import Arguments, Told, axis_told, bound, first, masking, number, shape


def tell(name: str, original: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> Told:
    """The role and the settings of one call of a function; its own name, in PyTorch's words, for one without a role."""
    found = TOLD.get(name)
    if found is None:
        return PLAIN.get(name, name), {}
    role, told = found(bound(original, args, kwargs), result)
    return (PLAIN.get(name, name) if role == CUSTOM else role), told


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
    "absolute": "abs", "power": "pow", "negative": "neg", "std": "deviation",
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


def _clip(given: Arguments, _: Any) -> Told:
    bounds = [number(first(given, *names)) for names in (("x_min", "clip_value_min"), ("x_max", "clip_value_max"))]
    if not all(isinstance(bound, int | float) for bound in bounds):
        return "clamp", {}
    least, most = map(float, bounds)
    return ("relu6", {}) if (least, most) == (0, 6) else ("hardtanh", {"least": least, "most": most})


def _elu(given: Arguments, _: Any) -> Told:
    return "elu", {"alpha": float(number(given.get("alpha", 1.0)))}


def _softmax(role: str) -> Callable[[Arguments, Any], Told]:
    def found(given: Arguments, result: Any) -> Told:
        axis = given.get("axis")
        if not isinstance(axis, (int, np.integer)):
            axis = -1 if axis is None or len(axis) != 1 else axis[0]
        return role, {"axis": axis_told(int(axis), len(result.shape))}

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


def _dropout(given: Arguments, _: Any) -> Told:
    return "dropout", {"rate": float(number(given.get("rate", 0.0))), "broadcast": 0}


TOLD: dict[str, Callable[[Arguments, Any], Told]] = {
    "gelu": _gelu, "leaky_relu": _leaky, "keras_relu": _relu, "elu": _elu,
    "softmax": _softmax("softmax"), "log_softmax": _softmax("log_softmax"),
    **dict.fromkeys(("max_pool", "max_pool1d", "max_pool2d", "max_pool3d"), spaces.pool("max_pool")),
    **dict.fromkeys(
        ("average_pool", "avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d"), spaces.pool("average_pool")
    ),
    **dict.fromkeys(("conv", "conv1d", "conv2d", "conv3d", "convolution"), spaces.convolution(False)),
    **dict.fromkeys(("depthwise_conv", "depthwise_conv2d"), spaces.convolution(True)),
    "mean": _mean("mean", "global_average_pool"), "reduce_mean": _mean("mean", "global_average_pool"),
    "max": _mean(CUSTOM, "global_max_pool"), "reduce_max": _mean(CUSTOM, "global_max_pool"),
    "var": _variance, "reduce_variance": _variance, "dot_product_attention": _attention,
    "layer_normalization": _layer_norm, "rms_normalization": _rms_norm, "batch_normalization": _batch_norm,
    **dict.fromkeys(("clip", "clip_by_value"), _clip),
    "hard_tanh": lambda given, result: ("hardtanh", {"least": -1.0, "most": 1.0}),
    "normalize": _l2, "l2_normalize": _l2, "resize": spaces.upsample, "pad": spaces.pad, "dropout": _dropout,
}  # fmt: skip
