"""The exponential moving average of weights. See core/techniques/exponential_moving_average.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.exponential_moving_average import ExponentialMovingAverage as Spec
from ..exact import constant


def build(spec: Spec) -> Callable[..., None]:
    """What an optimizer's `use_ema` does, on variables of one's own. The count may be a tensor, as `iterations` is."""

    def update(averages: list[Any], weights: list[Any], count: Any) -> None:
        step = ops.cast(count, averages[0].dtype)
        decay = constant(spec.decay, step)
        if spec.warmup:
            decay = ops.minimum(decay, (1 + step) / (10 + step))
        decay = ops.where(ops.equal(step, 0), constant(0.0, step), decay)
        for average, weight in zip(averages, weights, strict=True):
            average.assign(decay * average + (1 - decay) * weight)

    return update


def trace(spec: Spec, case: Arrays) -> Arrays:
    update = build(spec)
    averages = [keras.Variable(np.zeros_like(array[0]), dtype=array.dtype.name) for array in case.values()]
    history: dict[str, list[np.ndarray]] = {name: [] for name in case}
    step = tf.function(lambda weights, count: update(averages, weights, count), autograph=False)
    for count in range(len(next(iter(case.values())))):
        step([tf.convert_to_tensor(array[count]) for array in case.values()], tf.constant(count))
        for kept, average in zip(history.values(), averages, strict=True):
            kept.append(ops.convert_to_numpy(average))
    return {name: np.stack(kept) for name, kept in history.items()}
