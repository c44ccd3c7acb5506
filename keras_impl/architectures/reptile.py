"""Reptile. See core/architectures/reptile.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.architectures.reptile import Reptile as Spec
from .. import meta_learning


@keras.saving.register_keras_serializable("diglot")
class Reptile(meta_learning.MetaNetwork):
    REPORTED = ("first_loss", "last_loss")

    def trained(self, inputs: Any, targets: Any) -> tuple[dict[str, Any], Any, Any]:
        """Mean weights after the steps of each task, and mean losses: before the first step, and after the last."""
        weights = self.own()

        def of_task(inputs: Any, targets: Any) -> Any:
            batches = list(zip(tf.unstack(inputs), tf.unstack(targets), strict=True))  # (steps, ...) -> (...)
            last = self.inner(self.error, weights, batches)[-1]
            return *last.values(), self.error(weights, *batches[0]), self.error(last, *batches[-1])

        *found, first, last = [ops.mean(result, axis=0) for result in self.over_tasks(of_task, inputs, targets)]
        return dict(zip(weights, found, strict=True)), first, last

    def train_step(self, data: Any) -> dict[str, Any]:
        """What `fit` calls with a batch of tasks: inputs and targets of each inner step."""
        return self.reported(data, *self._learnt(*data))

    def test_step(self, data: Any) -> dict[str, Any]:
        """What `evaluate` calls."""
        _, *losses = self.trained(*data)
        return self.reported(data, *losses)

    def _learnt(self, inputs: Any, targets: Any) -> tuple[Any, Any]:
        towards, first, last = self.trained(inputs, targets)
        weights = self.network.trainable_variables
        self.optimizer.apply([weight.value - towards[weight.path] for weight in weights], weights)
        return first, last


class Learner(meta_learning.Learner):
    def step(self, inputs: Any, targets: Any) -> tuple[Any, Any]:
        return self.model._learnt(inputs, targets)


def build(spec: Spec) -> Reptile:
    return Reptile(spec)
