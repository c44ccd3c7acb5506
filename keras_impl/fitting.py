"""Training and predicting as Keras's users do: `compile`, `fit` and `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ..core.errors import SpecError
from ..core.recipe import Recipe
from ..core.spec import Tensor
from ..core.technique import Arrays
from .backend import sibling, spec_of, trainable
from .precision import precision


class Batches(keras.utils.PyDataset):
    """Whole batches, in order: the inputs of a network by name, and what the loss compares its output with."""

    def __init__(self, model: keras.Model, batches: Sequence[Arrays]) -> None:
        super().__init__()
        self.batches, self.sources, self.target = batches, spec_of(model).inputs(), spec_of(model).targets()
        self.outputs = len(spec_of(model).outputs())

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[Arrays, Any]:
        batch = self.batches[index]
        target = batch[self.target.name]
        return _given(self.sources, batch), target if self.outputs == 1 else (target,) * self.outputs


def fit(model: keras.Model, batches: Sequence[Arrays], recipe: Recipe) -> NDArray[np.float64]:
    """Train for one step per batch, and give the loss of every step, float64, (steps,).

    A batch holds arrays by the names of the spec's inputs and target, in the canonical layout, (batch, ...).
    Raises SpecError for a recipe that clips.
    """
    if recipe.clip:
        raise SpecError(f"fit does not clip gradients, and the recipe asks for {recipe.clip.name}")
    losses: list[float] = []
    with precision(model.variable_dtype):  # the optimizer's rate and the loss's mean are kept in floatx
        told = recipe.optimizer.told(trainable(model, spec_of(model)))
        optimizer = sibling(recipe.optimizer).build(recipe.optimizer, model.trainable_variables, **told)
        loss_function = sibling(recipe.loss).build(recipe.loss)
        if recipe.schedule:
            sibling(recipe.schedule).build(recipe.schedule, optimizer)
        # What Keras logs as the loss is the mean since the metrics were last reset.
        history = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda step, logs: model.reset_metrics(),
            on_train_batch_end=lambda step, logs: losses.append(logs["loss"]),
        )
        weights = [spec_of(model).loss_weights().get(output.name) for output in spec_of(model).outputs()]
        if len(weights) == 1:
            model.compile(optimizer, loss_function)
        else:
            functions = [None if weight is None else loss_function for weight in weights]
            model.compile(optimizer, functions, loss_weights=[weight or 0.0 for weight in weights])
        model.fit(Batches(model, batches), shuffle=False, callbacks=[history], verbose=0)
    return np.array(losses)


def predict(model: keras.Model, inputs: Arrays, batch_size: int) -> NDArray[np.floating]:
    """The first output in evaluation mode, (batch, ...) in the canonical layout, for the inputs by name."""
    given = _given(spec_of(model).inputs(), inputs)
    with precision(model.variable_dtype):
        return several(model.predict(given, batch_size=batch_size, verbose=0))[0]


def _given(tensors: Sequence[Tensor], arrays: Arrays) -> Arrays:
    """The arrays of these tensors."""
    return {tensor.name: arrays[tensor.name] for tensor in tensors}


def several(result: Any) -> tuple[Any, ...]:
    """A network's outputs, where it may have one."""
    return tuple(result) if isinstance(result, list | tuple) else (result,)
