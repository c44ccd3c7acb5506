"""Model-agnostic meta-learning. See core/architectures/maml.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ...core.architectures.maml import MAML as Spec
from .. import meta_learning


@keras.saving.register_keras_serializable("diglot")
class MAML(meta_learning.MetaNetwork):
    REPORTED = ("support_loss", "query_loss")

    def terms(
        self, support_inputs: Any, support_targets: Any, query_inputs: Any, query_targets: Any
    ) -> tuple[Any, Any]:
        """Means over tasks: of the support loss before adaptation, and of the query loss after it."""
        weights = self.own()

        def of_task(support_inputs: Any, support_targets: Any, queries: Any, wanted: Any) -> Any:
            support = support_inputs, support_targets
            path = self.inner(self.error, weights, [support] * self.spec.inner_steps)
            return self.error(weights, *support), self.error(path[-1], queries, wanted)

        before, after = self.over_tasks(of_task, support_inputs, support_targets, query_inputs, query_targets)
        return ops.mean(before), ops.mean(after)  # (tasks) -> ()

    def train_step(self, data: Any) -> dict[str, Any]:
        """What `fit` calls with a batch of tasks: support inputs and targets, query inputs and targets."""
        return self.reported(data, *self._learnt(*data))

    def test_step(self, data: Any) -> dict[str, Any]:
        """What `evaluate` calls."""
        return self.reported(data, *self.terms(*data))

    def _learnt(self, *tasks: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            before, after = self.terms(*tasks)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(after, weights), weights)
        return before, after


class Learner(meta_learning.Learner):
    def step(self, support_inputs: Any, support_targets: Any, query_inputs: Any, query_targets: Any) -> tuple[Any, Any]:
        return self.model._learnt(support_inputs, support_targets, query_inputs, query_targets)


def build(spec: Spec) -> MAML:
    return MAML(spec)
