"""The functions whose calls are seen: those of Keras's TensorFlow backend, to which `keras.ops` and
`keras.activations` come down however a user has imported them, those of `tf`, and the operators of tensors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src.activations import activations
from keras.src.backend.tensorflow import image, linalg, math, nn, numpy, random
from keras.src.ops import nn as composed

from .functions import OPERATORS
from .patching import Patch

Seen = Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

# What makes tensors, asks about them or changes their type alone.
SILENT = frozenset({
    "convert_to_tensor", "shape", "ndim", "size", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like",
    "arange", "linspace", "eye", "identity", "empty", "array", "isfinite", "isinf", "isnan", "standardize_dtype",
    "broadcast_shapes", "result_type", "cast", "view", "is_tensor", "one_hot", "tri", "meshgrid",
})  # fmt: skip
PLAIN_TF = (
    "add", "subtract", "multiply", "divide", "matmul", "concat", "stack", "reshape", "transpose", "squeeze",
    "expand_dims", "split", "reduce_mean", "reduce_sum", "reduce_max", "exp", "sqrt", "pow", "square", "abs", "maximum",
    "minimum", "einsum", "tensordot", "pad", "tile", "gather", "where", "sigmoid", "tanh", "clip_by_value",
    "broadcast_to", "repeat", "reverse", "unstack", "strided_slice", "slice",
)  # fmt: skip
IN_NN = (
    "relu", "relu6", "gelu", "silu", "swish", "leaky_relu", "elu", "selu", "softmax", "log_softmax", "softplus",
    "softsign", "sigmoid", "tanh", "conv1d", "conv2d", "conv3d", "convolution", "depthwise_conv2d", "max_pool",
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d", "l2_normalize",
    "batch_normalization", "dropout", "embedding_lookup", "bias_add", "conv2d_transpose",
)  # fmt: skip
IN_MATH = ("add", "subtract", "multiply", "divide", "reduce_mean", "reduce_sum", "reduce_max", "reduce_variance", "exp",
           "sqrt", "rsqrt", "sigmoid", "tanh", "softplus", "erf", "pow", "square", "abs", "l2_normalize", "log",
           "log_sigmoid", "maximum", "minimum", "sin", "cos")  # fmt: skip


def patches(seen: Seen) -> list[Patch]:
    """What has to be replaced for `seen` to be told of every call."""
    found: list[Patch] = []
    for holder, name, told in _functions():
        found.append((holder, name, functools.partial(_telling, seen, told)))
    for kind, name, told in (
        (activations.ReLU, "static_call", "keras_relu"),
        (activations.Mish, "static_call", "mish"),
    ):
        found.append((kind, name, functools.partial(_telling_static, seen, told)))
    for name, told in OPERATORS.items():
        found.append((tf.Tensor, name, functools.partial(_telling, seen, told)))
    return found


def _functions() -> Iterator[tuple[Any, str, str]]:
    for module in (nn, numpy, math, linalg, image):
        for name, value in list(vars(module).items()):
            own = callable(value) and getattr(value, "__module__", "") == module.__name__
            if own and not name.startswith("_") and name not in SILENT and not isinstance(value, type):
                yield module, name, name
    yield random, "dropout", "dropout"
    for name in ("_layer_normalization", "_rms_normalization", "_normalize"):
        yield composed, name, name.lstrip("_")
    for module, names in ((tf, PLAIN_TF), (tf.nn, IN_NN), (tf.math, IN_MATH)):
        for name in names:
            yield module, name, name
    yield tf.image, "resize", "resize"


def _telling(seen: Seen, told: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return seen(told, original, args, kwargs)

    return call


def _telling_static(seen: Seen, told: str, original: Any) -> Any:
    return staticmethod(_telling(seen, told, original.__func__))


def of_layers(seen: Callable[..., Any]) -> Patch:
    """The same for the calls of layers."""

    def change(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
            return seen(original, self, args, kwargs)

        return __call__

    return keras.layers.Layer, "__call__", change
