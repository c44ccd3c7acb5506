"""Dropout. See core/techniques/dropout.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from ...core.noise import Noise
from ...core.technique import Arrays
from ...core.techniques.dropout import Dropout as Spec


@keras.saving.register_keras_serializable("diglot")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` that takes its mask from shared draws while it has some: its name, and the noise."""

    shared: tuple[str, Noise] | None = None

    def call(self, x: Any, training: bool = False) -> Any:
        if self.shared is None or not training or not self.rate:
            return super().call(x, training=training)
        name, noise = self.shared
        keep = tf.numpy_function(lambda shape: noise.keep_mask(name, tuple(shape), self.rate), [tf.shape(x)], tf.bool)
        return x * tf.cast(tf.ensure_shape(keep, x.shape), x.dtype) / (1 - self.rate)


def build(spec: Spec, *, image: bool = False) -> keras.layers.Dropout:
    return Dropout(spec.rate)


def trace(spec: Spec, case: Arrays) -> Arrays:
    layer = build(spec, image=True)
    layer.shared = ("dropout", spec.noise())
    x = tf.convert_to_tensor(case["x"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        trained = layer(x, training=True)
    gradient = tape.gradient(trained, x, case["cotangent"])
    results = {"training output": trained, "evaluation output": layer(x, training=False), "gradient": gradient}
    return {name: tensor.numpy() for name, tensor in results.items()}
