"""The small network on which optimizers are tried, in Keras's operations and layouts. See core/practice.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ..core import practice
from ..core.technique import Arrays, Optimizer


class Network:
    def __init__(self, case: Arrays) -> None:
        dtype = case["practice images"].dtype.name
        self.parameters = {
            weight.name: keras.Variable(
                case[f"practice {weight.name}"], dtype=dtype, name=weight.name.replace(".", "_")
            )
            for weight in practice.WEIGHTS
        }

    def weights(self) -> list[keras.Variable]:
        return list(self.parameters.values())

    def __call__(self, images: Any) -> Any:
        convolved = ops.conv(images, self.parameters["conv.kernel"], padding="valid")
        hidden = ops.tanh(convolved + self.parameters["conv.bias"])  # batch height width channels
        flat = ops.reshape(hidden, (images.shape[0], -1))
        return ops.matmul(flat, self.parameters["dense.kernel"]) + self.parameters["dense.bias"]


def practise(build: Callable[..., Any], slots: Callable[..., Any], spec: Optimizer, case: Arrays) -> Arrays:
    """Every loss, and every weight and slot after the last step. `build` and `slots` are those of the technique."""
    network = Network(case)
    weights = network.weights()
    optimizer = build(spec, weights)

    @tf.function(autograph=False)
    def step(images: Any, labels: Any, rate: Any) -> Any:
        optimizer.learning_rate = rate
        with tf.GradientTape() as tape:
            losses = ops.sparse_categorical_crossentropy(labels, network(images), from_logits=True)
            loss = ops.mean(losses)
        optimizer.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
        return loss

    data = [tf.unstack(tf.convert_to_tensor(case[f"practice {name}"])) for name in ("images", "labels", "rates")]
    images, labels, rates = data
    losses = [step(images[n % practice.BATCHES], labels[n % practice.BATCHES], rate) for n, rate in enumerate(rates)]
    result = {"practice loss": tf.stack(losses).numpy()}
    for weight, variable in zip(practice.WEIGHTS, weights, strict=True):
        result[f"practice {weight.name}"] = ops.convert_to_numpy(variable)
    for slot, variables in slots(optimizer, weights).items():
        for weight, variable in zip(practice.WEIGHTS, variables, strict=True):
            if variable is not None:
                result[f"practice {slot} of {weight.name}"] = ops.convert_to_numpy(variable)
    return result
