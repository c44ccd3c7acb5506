"""Stochastic depth. See core/techniques/stochastic_depth.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.stochastic_depth import StochasticDepth as Spec
from .dropout import Dropout


@keras.saving.register_keras_serializable("diglot")
class StochasticDepth(Dropout):
    """Dropout whose noise shape is (batch, 1, ..., 1): one draw for each sample."""

    def call(self, x: Any, training: bool = False) -> Any:
        rest = [1] * (len(x.shape) - 1)
        if self.shared is None or not training or not self.rate:
            self.noise_shape = (None, *rest)
            return super().call(x, training=training)
        name, noise = self.shared
        keep = tf.numpy_function(lambda n: noise.keep_mask(name, (int(n), *rest), self.rate), [tf.shape(x)[0]], tf.bool)
        return x * tf.cast(tf.ensure_shape(keep, (x.shape[0], *rest)), x.dtype) / (1 - self.rate)


def build(spec: Spec) -> StochasticDepth:
    return StochasticDepth(spec.rate)


def trace(spec: Spec, case: Arrays) -> Arrays:
    layer = build(spec)
    layer.shared = ("stochastic_depth", spec.noise())
    x = tf.convert_to_tensor(case["x"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        trained = layer(x, training=True)
    gradient = tape.gradient(trained, x, case["cotangent"])
    results = {"training output": trained, "evaluation output": layer(x, training=False), "gradient": gradient}
    return {name: tensor.numpy() for name, tensor in results.items()}
