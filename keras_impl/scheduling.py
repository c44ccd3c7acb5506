"""How a schedule of the learning rate is built from its spec and kept in a file, and how it is run on a case."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from ..core.schedule import Schedule as Spec
from ..core.technique import Arrays
from .exact import constant


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The rate of a step times a factor, in float64 whatever the network's precision: the optimizer rounds it.

    A Keras schedule computes in float32 unless its numbers are NumPy's float64, which a file does not keep. So this
    keeps the fields of the spec instead, and a subclass says the spec and makes `_rate` of it.
    """

    SPEC: ClassVar[type[Spec]]

    def __init__(self, fields: dict[str, Any], factor: float = 1.0) -> None:
        self.spec, self.factor = self.SPEC(**fields), factor

    def __call__(self, step: Any) -> Any:
        rate = self._rate(step)
        return rate * constant(self.factor, rate)

    def _rate(self, step: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {"fields": self.spec.fields(), "factor": self.factor}


def trace_schedule(build: Callable[..., Any], spec: Spec, case: Arrays) -> Arrays:
    """The rates of every step, once times a factor, and again from the middle after all was saved and built anew."""

    def start(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
        optimizer.build([keras.Variable(np.zeros(1))])
        return optimizer

    def steps_of(optimizer: keras.optimizers.Optimizer) -> Callable[[int], np.ndarray]:
        """The rates of so many steps, both of each."""
        scaled = type(optimizer._learning_rate)(spec.fields(), spec.FACTOR)

        def step(_: Any) -> Any:
            rates = tf.stack([optimizer.learning_rate, scaled(optimizer.iterations)])
            optimizer.apply([keras.ops.zeros(1)])
            return rates

        def steps(count: Any) -> Any:
            return tf.map_fn(step, tf.range(count), parallel_iterations=1, fn_output_signature=tf.float64)

        graph = tf.function(steps, autograph=False).get_concrete_function(tf.TensorSpec((), "int32"))
        return lambda count: graph(tf.constant(count)).numpy()

    steps, middle = len(case["steps"]), spec.middle(case)
    optimizer = start(keras.optimizers.SGD())
    build(spec, optimizer)
    take = steps_of(optimizer)
    before = take(middle)
    config = json.dumps(keras.optimizers.serialize(optimizer))
    saved = [variable.numpy() for variable in optimizer.variables]
    after = take(steps - middle)
    again = start(keras.optimizers.deserialize(json.loads(config)))
    for variable, value in zip(again.variables, saved, strict=True):
        variable.assign(value)
    whole, rest = np.concatenate([before, after]), steps_of(again)(steps - middle)
    return {"rates": whole[:, 0], "rates times a factor": whole[:, 1], "rates resumed": rest[:, 0]}
