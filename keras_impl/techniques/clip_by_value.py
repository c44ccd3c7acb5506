"""Clipping of each element of the gradients. See core/techniques/clip_by_value.py."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.clip_by_value import ClipByValue as Spec
from ..clipping import trace_clip


def clip(spec: Spec, gradients: list[Any], weights: Any = None) -> list[Any]:
    # An embedding's gradient may hold several rows for one index, which must be added up before they are cut.
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    return [tf.clip_by_value(gradient, -spec.clip_value, spec.clip_value) for gradient in gradients]


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_clip(clip, spec, case)
