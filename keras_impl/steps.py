"""Steps of training as Keras's `fit` takes them: one graph, which is traced once for a model and a recipe."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from ..core.noise import Noise

Value = Callable[[keras.Model, Sequence[Any]], Any]


class Steps:
    """An optimizer and the step that it takes on a batch. Every run starts with the optimizer as it was built.

    The graph keeps the noise that it was traced with, so `noise` is the one whose steps must be counted.
    """

    def __init__(
        self, model: keras.Model, weights: Sequence[Any], value: Value, optimizer: Any, clip: Any, noise: Noise | None
    ) -> None:
        self.optimizer, self.noise = optimizer, noise
        self.built = [variable.numpy() for variable in optimizer.variables]
        # There is one replica, of which nothing is summed; TensorFlow would keep every graph with this sum for ever.
        optimizer._all_reduce_sum_gradients = list
        model_of = weakref.ref(model)

        def step(*batch: Any) -> Any:
            with tf.GradientTape() as tape:
                result = value(model_of(), batch)
            found = tape.gradient(result, [weight.value for weight in weights])
            optimizer.apply(clip(found, weights) if clip else found, weights)
            return result

        self.take = tf.function(step, autograph=False)

    def restart(self) -> None:
        for variable, value in zip(self.optimizer.variables, self.built, strict=True):
            variable.assign(value)


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """TensorFlow runs a graph as it was traced, to the same bits as without one, instead of rewriting it."""
    option, set_options = "disable_meta_optimizer", tf.config.optimizer.set_experimental_options
    before = tf.config.optimizer.get_experimental_options()
    try:
        set_options({option: True})
        yield
    finally:
        set_options({option: before.get(option, False)})
