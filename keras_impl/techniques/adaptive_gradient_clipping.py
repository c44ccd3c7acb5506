"""Clipping of each unit's gradient by the norm of its weights. See core/techniques/adaptive_gradient_clipping.py."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.adaptive_gradient_clipping import AdaptiveGradientClipping as Spec
from ...core.techniques.adaptive_gradient_clipping import is_one_unit, require_weights
from ..clipping import trace_clip
from ..exact import constant


def clip(spec: Spec, gradients: list[Any], weights: Any = None) -> list[Any]:
    require_weights(gradients, weights)
    clipped = []
    for gradient, weight in zip(gradients, weights, strict=True):
        gradient = tf.convert_to_tensor(gradient)
        norms = unit_norms(tf.convert_to_tensor(weight))
        largest = constant(spec.clipping, norms) * tf.maximum(norms, constant(spec.epsilon, norms))
        clipped.append(gradient * (largest / tf.maximum(unit_norms(gradient), largest)))
    return clipped


def unit_norms(tensor: Any) -> Any:
    """The norm of each unit, the last axis, with the rank of the tensor."""
    axes = None if is_one_unit(tuple(tensor.shape)) else tuple(range(len(tensor.shape) - 1))
    return tf.sqrt(tf.reduce_sum(tf.square(tensor), axis=axes, keepdims=True))


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_clip(clip, spec, case)
