"""Mixed precision. See core/techniques/mixed_precision.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ...core.errors import SpecError
from ...core.technique import Arrays
from ...core.techniques.mixed_precision import MixedPrecision as Spec

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "dense": (lambda: keras.layers.Dense(8), (4, 8)),
    "convolution": (lambda: keras.layers.Conv2D(4, 3), (2, 6, 6, 4)),
    "batch normalisation": (lambda: keras.layers.BatchNormalization(), (2, 6, 6, 4)),
    "layer normalisation": (lambda: keras.layers.LayerNormalization(), (4, 8)),
    "ReLU": (lambda: keras.layers.ReLU(), (4, 8)),
    "GELU": (lambda: keras.layers.Activation("gelu"), (4, 8)),
    "softmax": (lambda: keras.layers.Softmax(), (4, 8)),
    "max pooling": (lambda: keras.layers.MaxPooling2D(2), (2, 6, 6, 4)),
    "dropout": (lambda: keras.layers.Dropout(0.5), (4, 8)),
}


@keras.saving.register_keras_serializable("diglot")
class Scaler(keras.optimizers.LossScaleOptimizer):
    """`keras.optimizers.LossScaleOptimizer` with factors of its own, and a scale that stays finite."""

    def __init__(self, *args: Any, growth_factor: float = 2.0, backoff_factor: float = 0.5, **options: Any) -> None:
        super().__init__(*args, **options)
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor

    def _stateful_handle_finite_grads(self, grads: Any, trainable_variables: Any) -> None:
        before = ops.copy(self.dynamic_scale)
        super()._stateful_handle_finite_grads(grads, trainable_variables)
        # The count in a row is back at 0 where the native class has doubled the scale.
        grown = before * self.growth_factor
        grown = ops.where(ops.isfinite(grown), grown, before)
        self.dynamic_scale.assign(ops.where(ops.equal(self.step_counter, 0), grown, before))

    def _stateful_handle_non_finite_grads(self) -> None:
        self.step_counter.assign(0)
        self.dynamic_scale.assign(self.dynamic_scale * self.backoff_factor)

    def get_config(self) -> dict[str, Any]:
        own = {"growth_factor": self.growth_factor, "backoff_factor": self.backoff_factor}
        return {**super().get_config(), **own}


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    if not spec.scaled:
        return optimizer
    return Scaler(
        optimizer,
        initial_scale=spec.initial_scale,
        dynamic_growth_steps=spec.growth_interval,
        growth_factor=spec.growth_factor,
        backoff_factor=spec.backoff_factor,
    )


@contextlib.contextmanager
def lowered(spec: Spec, model: keras.Model) -> Iterator[None]:
    """Inside, every layer of a float32 model computes in half precision; as before afterwards. float64 stays so.

    Raises SpecError where the model's device does not have the precision.
    """
    try:
        tf.linalg.matmul(tf.ones((1, 1), spec.dtype), tf.ones((1, 1), spec.dtype))
    except (tf.errors.OpError, TypeError) as error:
        raise SpecError(f"{spec.name}: TensorFlow has no {spec.dtype} here; set another dtype, or none") from error
    layers = [model, *model._flatten_layers(include_self=False)] if model.variable_dtype == "float32" else []
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = keras.DTypePolicy(f"mixed_{spec.dtype}")
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


def kept(spec: Spec, given: str = "float32") -> dict[str, str]:
    """In which precision each usual layer answers, when it is given this one; and a loss, and the weights."""
    result, weight = {}, ""
    with tf.device("CPU:0"):
        for name, (make, shape) in LAYERS.items():
            layer = make()
            layer.dtype_policy = keras.DTypePolicy(f"mixed_{spec.dtype}")
            result[name] = keras.backend.standardize_dtype(layer(ops.ones(shape, given)).dtype)
            weight = weight or layer.weights[0].dtype
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        answer = loss(ops.zeros(4, "int64"), ops.ones((4, 8), given))
    return {**result, "cross-entropy": keras.backend.standardize_dtype(answer.dtype), "weights": weight}


def trace(spec: Spec, case: Arrays) -> Arrays:
    weight = keras.Variable(case["weight"], dtype=case["weight"].dtype.name)
    inner = keras.optimizers.SGD(spec.RATE)
    optimizer = build(spec, inner)
    optimizer.build([weight])

    @tf.function(autograph=False)
    def step(gradient: Any, factor: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            value = optimizer.scale_loss(tf.reduce_sum(weight.value * gradient) * factor)
        optimizer.apply(tape.gradient(value, [weight.value]), [weight])
        return tf.identity(getattr(optimizer, "dynamic_scale", tf.ones(()))), tf.identity(inner.iterations.value)

    factors = np.where(case["overflow"], np.inf, 1.0).astype(case["weight"].dtype)
    told = [
        step(tf.constant(gradient), tf.constant(factor))
        for gradient, factor in zip(case["gradients"], factors, strict=True)
    ]
    scales, taken = (np.array([np.asarray(pair[index]) for pair in told]) for index in (0, 1))
    result = {"weight": np.asarray(weight), "scale": scales.astype(np.float64), "steps taken": taken.astype(np.int64)}
    return {**result, **_network(spec, case)}


def _network(spec: Spec, case: Arrays) -> Arrays:
    dtype = case["x"].dtype.name
    hidden = keras.layers.Dense(8, use_bias=False, dtype=dtype)
    output = keras.layers.Dense(3, use_bias=False, dtype=dtype)
    network = keras.Sequential(
        [keras.Input((12,), dtype=dtype), hidden, keras.layers.Activation("tanh", dtype=dtype), output]
    )
    network.set_weights([case["hidden"], case["output"]])
    with lowered(spec, network), tf.GradientTape() as tape:
        logits = network(case["x"], training=True)
        loss = ops.mean(ops.sparse_categorical_crossentropy(case["targets"], ops.cast(logits, dtype), from_logits=True))
    found = tape.gradient(loss, [hidden.kernel.value, output.kernel.value])
    return {"loss": loss.numpy(), "gradient of hidden": found[0].numpy(), "gradient of output": found[1].numpy()}
