"""A run in float64 that computes what the user's code says: a Python float stays the number that was written.

`tf.cast` takes a Python float through float32, and the kernel of `leaky_relu` keeps its slope in float32, so that GELU,
attention, `ReLU(max_value)`, `Rescaling` and leaky ReLU are off by 1e-9 to 1e-8 in float64. Code that asks for float32
by name gets float64. All of this holds for the thread and the time of a run alone. Seen on Keras 3.15, TensorFlow 2.21.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src import backend
from keras.src.backend.tensorflow import image, nn
from tensorflow.python.framework import op_callbacks
from tensorflow.python.ops import math_ops

from ..precision import precision
from . import resizing
from .patching import Patch, patched

_LOCAL = threading.local()
NARROW = (tf.float16, tf.bfloat16, tf.float32)


def active() -> bool:
    """Whether this thread is in a float64 run."""
    return getattr(_LOCAL, "active", False)


@contextlib.contextmanager
def exactly() -> Iterator[None]:
    """Float64 throughout, with every constant as it was written; as before afterwards."""
    before = active()
    with precision("float64"), patched("exactly", _patches):
        _LOCAL.active = True
        try:
            yield
        finally:
            _LOCAL.active = before


@contextlib.contextmanager
def narrowed(found: list[str]) -> Iterator[None]:
    """Every operation of TensorFlow that gives a narrower float than float64 is added to a list."""

    def look(kind: Any, inputs: Any, attributes: Any, outputs: Any, op_name: Any = None, graph: Any = None) -> None:
        if any(output.dtype in NARROW for output in outputs):
            found.append(kind.decode() if isinstance(kind, bytes) else str(kind))

    op_callbacks.add_op_callback(look)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(look)


def wide(dtype: Any) -> Any:
    """float64 for a narrower float; any other type as it is."""
    found = tf.as_dtype(dtype)
    return tf.float64 if found in NARROW else found


def _patches() -> list[Patch]:
    found = [(tf, "cast", _cast), (math_ops, "cast", _cast), (nn, "leaky_relu", _leaky_relu),
             (tf.nn, "leaky_relu", _leaky_relu_tf)]  # fmt: skip
    found += [(image, "resize", _resize), (tf.image, "resize", _resize_tf)]
    found += [(tf, name, functools.partial(_made, name)) for name in MAKERS]
    found += [(tf, name, _unary) for name in UNARY] + [(tf.math, name, _unary) for name in UNARY_MATH]
    return [(holder, name, functools.partial(_where_active, change)) for holder, name, change in found]


def _where_active(change: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return change(original, *args, **kwargs) if active() else original(*args, **kwargs)

    return call


def _cast(original: Callable[..., Any], x: Any, dtype: Any, name: str | None = None) -> Any:
    target = wide(dtype)
    if isinstance(x, (float, np.floating)) and target.is_floating:
        return tf.convert_to_tensor(float(x), target)
    return original(x, target, name=name)


def _leaky_relu(original: Callable[..., Any], x: Any, negative_slope: float = 0.2) -> Any:
    return tf.where(x > 0, x, negative_slope * x)


def _leaky_relu_tf(original: Callable[..., Any], features: Any, alpha: float = 0.2, name: str | None = None) -> Any:
    features = tf.convert_to_tensor(features)
    return tf.where(features > 0, features, alpha * features)


# What each method is called in resizing.py, and what it is called with `antialias`.
METHODS = {"nearest": ("nearest-exact", "nearest-exact"), "bilinear": ("bilinear", "smooth bilinear"),
           "bicubic": ("keys", "smooth bicubic"), "lanczos3": ("lanczos3", "smooth lanczos3"),
           "lanczos5": ("lanczos5", "smooth lanczos5")}  # fmt: skip


def _resize(
    original: Callable[..., Any], images: Any, size: Any, interpolation: str = "bilinear", antialias: bool = False,
    *args: Any, data_format: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    whole = args or any(kwargs.get(name) for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"))
    if interpolation not in METHODS or whole or not _is_wide(images):
        return original(images, size, interpolation, antialias, *args, data_format=data_format, **kwargs)
    form = backend.standardize_data_format(data_format)
    return resizing.to_size(images, _size(size), METHODS[interpolation][bool(antialias)], False, form)


def _resize_tf(
    original: Callable[..., Any], images: Any, size: Any, method: str = "bilinear",
    preserve_aspect_ratio: bool = False, antialias: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    if method not in METHODS or preserve_aspect_ratio or not _is_wide(images):
        return original(images, size, method, preserve_aspect_ratio, antialias, name)
    return resizing.to_size(images, _size(size), METHODS[method][bool(antialias)], False, "channels_last")


def _is_wide(images: Any) -> bool:
    return tf.is_tensor(images) and images.dtype == tf.float64 and len(images.shape) == 4


def _size(size: Any) -> tuple[int, ...]:
    found = np.broadcast_to(np.asarray(size), (2,))
    return tuple(int(one) for one in found)


# Functions of TensorFlow that make tensors, and the position of their type among the arguments.
MAKERS = {"constant": 1, "convert_to_tensor": 1, "zeros": 1, "ones": 1, "eye": 3, "one_hot": 5, "range": 3}
DEFAULTING = frozenset({"zeros", "ones", "eye", "one_hot"})  # to float32
# Functions of one number, which make a tensor of a Python float.
UNARY = ("sqrt", "exp", "abs", "square", "sin", "cos", "tanh", "sigmoid")
UNARY_MATH = (*UNARY, "rsqrt", "log", "erf", "log1p")


def _made(maker: str, original: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    place = MAKERS[maker]
    given = args[place] if len(args) > place else kwargs.get("dtype")
    if given is not None:
        kwargs = {**kwargs, "dtype": wide(given)}
        return original(*args[:place], *args[place + 1 :], **kwargs) if len(args) > place else original(*args, **kwargs)
    if (maker in DEFAULTING and "on_value" not in kwargs) or (maker == "range" and any(map(_is_plain, args))):
        return original(*args, **{**kwargs, "dtype": tf.float64})
    made = original(*args, **kwargs)
    if made.dtype not in NARROW or not args or tf.is_tensor(args[0]):
        return made
    return original(*args, **{**kwargs, "dtype": tf.float64})


def _is_plain(value: Any) -> bool:
    return isinstance(value, float)


def _unary(original: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    return original(tf.constant(x, tf.float64) if _is_plain(x) else x, *args, **kwargs)
