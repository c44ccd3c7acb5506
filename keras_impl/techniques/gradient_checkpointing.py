"""Gradient checkpointing. See core/techniques/gradient_checkpointing.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.gradient_checkpointing import GradientCheckpointing as Spec
from ..recompute import recomputed


class Counted(keras.layers.Dense):
    """A dense layer with tanh that counts its calls."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.calls = tf.Variable(0, trainable=False, dtype="int64")

    def call(self, x: Any) -> Any:
        with tf.control_dependencies([self.calls.assign_add(1)]):
            return ops.tanh(super().call(x))


def build(spec: Spec) -> Callable[..., Any]:
    def chain(layers: Sequence[Any], x: Any) -> Any:
        for segment in spec.cut(len(layers)):

            def through(given: Any, segment: slice = segment) -> Any:
                for layer in layers[segment]:
                    given = layer(given)
                return given

            x = recomputed(through, [x])
        return x

    return chain


def trace(spec: Spec, case: Arrays) -> Arrays:
    layers = [Counted(spec.WIDTH, use_bias=False, dtype=case["x"].dtype.name) for _ in range(spec.LAYERS)]
    for index, layer in enumerate(layers):
        layer.build((None, spec.WIDTH))
        layer.kernel.assign(case[f"kernel {index}"])
    kernels = [layer.kernel for layer in layers]
    optimizer = keras.optimizers.SGD(spec.RATE)
    optimizer.build(kernels)

    @tf.function(autograph=False)
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = ops.mean(keras.losses.mean_squared_error(y, build(spec)(layers, x)))
        optimizer.apply(tape.gradient(loss, [kernel.value for kernel in kernels]), kernels)
        return loss

    x, y = tf.constant(case["x"]), tf.constant(case["y"])
    losses = [step(x, y).numpy() for _ in range(spec.STEPS)]
    found = {f"kernel {index}": np.array(kernel) for index, kernel in enumerate(kernels)}
    return {"loss": np.array(losses), **found, "times computed": np.array([layer.calls.numpy() for layer in layers])}
