"""Statistics of each weight's gradient and of its step. See core/techniques/gradient_flow.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ...core.history import STATISTICS
from ...core.technique import Arrays
from ...core.techniques.gradient_flow import GradientFlow as Spec


def build(spec: Spec) -> Callable[..., Any]:
    def flow(gradients: Sequence[Any], before: Sequence[Any], after: Sequence[Any]) -> Any:
        rows = [row(spec, *weight) for weight in zip(gradients, before, after, strict=True)]
        return tf.stack(rows)  # (weights, statistics)

    return flow


def row(spec: Spec, gradient: Any, before: Any, after: Any) -> Any:
    before, after = tf.convert_to_tensor(before), tf.convert_to_tensor(after)
    # An embedding's gradient may hold several rows for one index, which must be added up before they are squared.
    gradient = tf.zeros_like(before) if gradient is None else tf.convert_to_tensor(gradient)
    gradient, before, after = wide(gradient), wide(before), wide(after)
    count = tf.size(gradient) if spec.deviation == "population" else tf.maximum(tf.size(gradient) - 1, 1)
    squares = tf.reduce_sum(tf.square(gradient - tf.reduce_mean(gradient)))
    length = tf.norm(before)
    update = tf.norm(after - before) / length
    return tf.stack([
        tf.reduce_mean(gradient),
        tf.sqrt(squares / tf.cast(count, gradient.dtype)),
        tf.norm(gradient),
        tf.reduce_mean(tf.cast(gradient == 0, gradient.dtype)),
        tf.where(length > 0, update, float("nan")),
    ])  # fmt: skip


def wide(tensor: Any) -> Any:
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def trace(spec: Spec, case: Arrays) -> Arrays:
    names = [key[2:] for key in case if key.startswith("g.")]
    gradients, before, after = ([tf.convert_to_tensor(case[f"{kind}.{name}"]) for name in names] for kind in "gba")
    place = names.index("embedding")
    gradients[place] = tf.IndexedSlices(gradients[place], case["tokens"], before[place].shape)
    values = build(spec)(gradients, before, after).numpy()
    return dict(zip(STATISTICS, values.T, strict=True))
