"""Where the first number that is not finite came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..core.errors import ADVICE
from .backend import walk


def finite(values: Any) -> bool:
    """Whether all numbers in a tensor, or in tensors within tuples, lists and dictionaries, are finite."""
    for value in tf.nest.flatten(values):
        array = None if value is None else np.asarray(tf.convert_to_tensor(value))
        if array is not None and array.dtype.kind not in "iub" and not np.isfinite(array.astype("float64")).all():
            return False
    return True


def norm_of(gradients: list[Any]) -> Any:
    """The norm of all elements together. It is finite where they are, also where their squares are not."""
    norm = tf.linalg.global_norm(gradients)

    def scaled() -> Any:
        largest = tf.reduce_max(tf.stack([tf.reduce_max(tf.abs(gradient)) for gradient in gradients]))
        return largest * tf.linalg.global_norm([gradient / largest for gradient in gradients])

    return tf.cond(tf.math.is_finite(norm), lambda: norm, scaled)  # NaN and infinity over infinity stay what they are


def source(model: keras.Model, inputs: Any, again: Callable[[], Any]) -> str:
    """What first gives a number that is not finite when the network computes `again`, in words."""
    if not finite(inputs):
        return "the batch itself holds numbers that are not finite; mend the samples, or leave them out"
    paths = {id(layer): name for name, layer in walk(model)}
    for variable in model.trainable_variables:
        if not finite(variable.value):
            return f"the weight {variable.path} is not finite before the step; begin with weights that are"
    found: list[str] = []

    def shadow(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def seen(*args: Any, **options: Any) -> Any:
            output = call(*args, **options)
            if not found and finite(args) and not finite(output):
                found.append(name)
            return output

        return seen

    layers = [layer for layer in model._flatten_layers(include_self=False) if "call" not in vars(layer)]
    kept = [(variable, variable.numpy()) for variable in model.non_trainable_variables]
    try:
        for layer in layers:
            vars(layer)["call"] = shadow(paths.get(id(layer), layer.path or layer.name), layer.call)
        again()
    finally:
        for layer in layers:
            vars(layer).pop("call", None)
        for variable, value in kept:
            variable.assign(value)
    told = f"the first layer that gives one is {found[0]}" if found else "every layer's output is finite"
    return f"{told}; {ADVICE}"
