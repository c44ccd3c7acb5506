"""Batch normalisation. See core/techniques/batch_norm.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.batch_norm import BatchNorm as Spec
from ..exact import constant


@keras.saving.register_keras_serializable("diglot")
class UnbiasedBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose running variance takes the variance divided by n - 1."""

    def call(self, x: Any, training: bool = False) -> Any:
        if not training or not self.trainable:
            return super().call(x, training=training)
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))  # half precision would overflow, as Keras says
        mean, variance = ops.moments(x, axes=list(range(len(x.shape) - 1)))
        count = ops.cast(ops.size(x), x.dtype) / x.shape[-1]
        kept = constant(self.momentum, x)
        self.moving_mean.assign(kept * self.moving_mean + (1 - kept) * mean)
        self.moving_variance.assign(
            kept * self.moving_variance + (1 - kept) * variance * count / ops.maximum(count - 1, 1)
        )
        beta, gamma = (None if weight is None else ops.cast(weight, x.dtype) for weight in (self.beta, self.gamma))
        given = ops.batch_normalization(x, mean, variance, axis=-1, offset=beta, scale=gamma, epsilon=self.epsilon)
        return ops.cast(given, self.compute_dtype)


def build(spec: Spec, channels: int, *, image: bool = True) -> keras.layers.BatchNormalization:
    unbiased = spec.running_variance == "unbiased"
    layer = UnbiasedBatchNormalization if unbiased else keras.layers.BatchNormalization
    return layer(epsilon=spec.epsilon, momentum=1 - spec.momentum, scale=spec.scale)


def trace(spec: Spec, case: Arrays) -> Arrays:
    layer = build(spec, len(case["mean"]))
    layer.build(case["x"].shape)
    state = {"gamma": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}
    for leaf, name in state.items():
        if name in case:
            getattr(layer, leaf).assign(case[name])
    x = tf.convert_to_tensor(case["x"])
    fixed = layer(x, training=False)
    sources = {"x": x, **{leaf: getattr(layer, leaf).value for leaf in ("gamma", "beta") if leaf in case}}
    with tf.GradientTape() as tape:
        tape.watch(x)
        trained = layer(x, training=True)
    gradients = tape.gradient(trained, sources, case["cotangent"])
    return {
        "training output": trained.numpy(),
        "evaluation output": fixed.numpy(),
        "mean": layer.moving_mean.numpy(),
        "variance": layer.moving_variance.numpy(),
        **{f"gradient of {name}": gradient.numpy() for name, gradient in gradients.items()},
    }
