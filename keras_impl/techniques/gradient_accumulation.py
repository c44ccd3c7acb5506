"""Gradient accumulation. See core/techniques/gradient_accumulation.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.gradient_accumulation import GradientAccumulation as Spec
from ..wrapping import Wrapper


@keras.saving.register_keras_serializable("diglot")
class Accumulation(Wrapper):
    """Sums gradients up, and steps with their mean over all samples. Who trains says what each batch is by `expect`."""

    def build(self, variables: Sequence[Any]) -> None:
        super().build(variables)
        self.sums = self.add_optimizer_variables(variables, "sum")
        self.counted = self.add_variable(shape=(), dtype="int64", name="counted")
        self.samples = self.add_variable(shape=(), dtype="int64", initializer="ones", name="samples")
        self.due = self.add_variable(shape=(), dtype="bool", initializer="zeros", name="due")

    def expect(self, samples: int, due: bool) -> None:
        """The next batch has so many samples, and a group may end with it."""
        self.samples.assign(samples)
        self.due.assign(due)

    def drop(self) -> None:
        """Leave out what is summed up."""
        self.counted.assign(0)
        for total in self.sums:
            total.assign(ops.zeros_like(total))

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build(variables)
        # An embedding's gradient may hold several rows for one index, which must be added up first.
        grads = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in grads]
        given = [
            (self.sums[self._get_variable_index(v)], g, v)
            for g, v in zip(grads, variables, strict=True)
            if g is not None
        ]
        for total, gradient, _ in given:
            total.assign_add(gradient * ops.cast(self.samples, gradient.dtype))
        self.counted.assign_add(self.samples)

        def step() -> None:
            means = [total.value / ops.cast(self.counted, total.dtype) for total, _, _ in given]
            self.inner.apply(means, [variable for _, _, variable in given])
            self.drop()

        tf.cond(self.due.value, step, lambda: None)
        self._iterations.assign_add(1)


def build(spec: Spec, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    return optimizer if spec.micro_batches == 1 else Accumulation(optimizer)


def trace(spec: Spec, case: Arrays) -> Arrays:
    kernel = keras.Variable(case["kernel"], dtype=case["kernel"].dtype.name)
    optimizer, history = build(spec, keras.optimizers.SGD(spec.RATE)), []
    optimizer.build([kernel])
    edges = np.cumsum((0, *spec.SIZES))

    @tf.function(autograph=False, reduce_retracing=True)
    def step(x: Any, y: Any, samples: Any, due: Any) -> None:
        optimizer.expect(samples, due)
        with tf.GradientTape() as tape:
            loss = ops.mean(keras.losses.mean_squared_error(y, x @ kernel.value))
        optimizer.apply(tape.gradient(loss, [kernel.value]), [kernel])

    for _ in range(spec.EPOCHS):
        for index, size in enumerate(spec.SIZES):
            rows = slice(edges[index], edges[index + 1])
            due = spec.due(index, len(spec.SIZES))
            step(
                tf.constant(case["x"][rows]), tf.constant(case["y"][rows]), tf.constant(size, "int64"), tf.constant(due)
            )
        optimizer.drop()
        history.append(np.array(kernel))
    return {"kernel": np.stack(history)}
