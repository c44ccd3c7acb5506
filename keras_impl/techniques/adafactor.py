"""Adafactor. See core/techniques/adafactor.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.adafactor import Adafactor as Spec
from ..exact import constant
from ..tracing import trace_optimizer


@keras.saving.register_keras_serializable("diglot")
class Adafactor(keras.optimizers.Optimizer):
    """Adafactor in all conventions, without the whole V that `keras.optimizers.Adafactor` keeps of every weight."""

    def __init__(self, *, fields: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.spec = Spec(**fields)

    def build(self, variables: list[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self.kept: dict[str, list[keras.Variable | None]] = {name: [] for name in self.spec.slots()}
        for variable in variables:
            shapes = _slot_shapes(self.spec, tuple(variable.shape))
            for name, kept in self.kept.items():
                own = {"shape": shapes[name], "dtype": variable.dtype, "name": name} if name in shapes else None
                kept.append(self.add_variable(**own) if own else None)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # An embedding's gradient may hold several rows for one index, which must be added up before they are squared.
        gradient = tf.convert_to_tensor(gradient)
        spec, index = self.spec, self._get_variable_index(variable)
        step = ops.cast(self.iterations + 1, gradient.dtype)
        alpha = rate = ops.cast(learning_rate, gradient.dtype)
        if spec.relative_step:
            alpha = ops.minimum(rate, 1 / ops.sqrt(step))
        if spec.parameter_scaling != "none":
            alpha = alpha * ops.maximum(root_mean_square(variable), constant(spec.epsilon_2, alpha))
        if spec.weight_decay and spec.parameter_scaling == "undecayed" and self._use_weight_decay(variable):
            self.assign_sub(variable, rate * constant(spec.weight_decay, rate) * variable)
        change = gradient * self._inverse_root(gradient, index, 1 - ops.power(step, -spec.decay_exponent))
        excess = root_mean_square(change) / constant(spec.clip_threshold, change)
        change = alpha * change / ops.maximum(excess, constant(1.0, change))
        if spec.beta_1:
            change = self._average("m", index, change, constant(spec.beta_1, change))
        self.assign_sub(variable, change)

    def _inverse_root(self, gradient: Any, index: int, beta_2: Any) -> Any:
        floors, epsilon = self.spec.epsilon_convention == "floor", constant(self.spec.epsilon_1, gradient)
        square = gradient * gradient if floors else gradient * gradient + epsilon
        if len(gradient.shape) < 2:
            v = self._average("v", index, square, beta_2)
            return ops.rsqrt(ops.maximum(v, epsilon * epsilon) if floors else v)
        first, second = self.spec.factored(len(gradient.shape))
        row = ops.expand_dims(self._average("row", index, ops.mean(square, second), beta_2), second)
        column = ops.expand_dims(self._average("column", index, ops.mean(square, first), beta_2), first)
        mean = ops.mean(row, first, keepdims=True)
        if floors:
            return ops.rsqrt(ops.maximum(row / ops.maximum(mean, epsilon) * column, epsilon * epsilon))
        # The product of two epsilons, where a row and a column of the gradient are zero, is zero in float32.
        return ops.rsqrt(row / mean) * ops.rsqrt(column)

    def _average(self, name: str, index: int, value: Any, beta: Any) -> Any:
        average = beta * self.kept[name][index] + (1 - beta) * value
        self.assign(self.kept[name][index], average)
        return average

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fields": self.spec.fields()}


def _slot_shapes(spec: Spec, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    first = {"m": shape} if spec.beta_1 else {}
    if len(shape) < 2:
        return {"v": shape, **first}
    row, column = spec.factored(len(shape))
    without = {gone: tuple(size for axis, size in enumerate(shape) if axis != gone) for gone in (row, column)}
    return {"row": without[column], "column": without[row], **first}


def root_mean_square(tensor: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(tensor)))


def build(spec: Spec, weights: list[keras.Variable], tables: Iterable[keras.Variable] = ()) -> Adafactor:
    """Keras's order is the canonical one for tables as for kernels."""
    # Keras decays before its step; the undecayed scale has to be taken before that.
    decay = (spec.weight_decay or None) if spec.parameter_scaling != "undecayed" else None
    optimizer = Adafactor(fields=spec.fields(), learning_rate=spec.learning_rate, weight_decay=decay)
    optimizer.build(weights)
    return optimizer


def slots(optimizer: Adafactor, weights: list[keras.Variable]) -> dict[str, list[keras.Variable | None]]:
    return dict(optimizer.kept)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_optimizer(build, slots, spec, case)
