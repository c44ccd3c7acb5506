"""Clipping of each gradient by its own norm. See core/techniques/clip_by_norm.py."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.clip_by_norm import ClipByNorm as Spec
from ..clipping import trace_clip


def clip(spec: Spec, gradients: list[Any], weights: Any = None) -> list[Any]:
    # An embedding's gradient may hold several rows for one index, which must be added up before the norm is taken.
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    norms = [tf.norm(gradient) for gradient in gradients]
    return [
        gradient * (spec.max_norm / tf.maximum(norm + spec.epsilon, spec.max_norm))
        for gradient, norm in zip(gradients, norms, strict=True)
    ]


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_clip(clip, spec, case)
