"""Clipping of all gradients by their common norm. See core/techniques/clip_by_global_norm.py."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.clip_by_global_norm import ClipByGlobalNorm as Spec
from ..clipping import trace_clip


def clip(spec: Spec, gradients: list[Any], weights: Any = None) -> list[Any]:
    # An embedding's gradient may hold several rows for one index, which must be added up before the norm is taken.
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    norm = tf.linalg.global_norm(gradients)
    clipped, _ = tf.clip_by_global_norm(gradients, spec.max_norm, use_norm=norm + spec.epsilon)
    return clipped


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_clip(clip, spec, case)
