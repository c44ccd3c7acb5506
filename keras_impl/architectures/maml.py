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
    def losses(
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
        with tf.GradientTape() as tape:
            before, after = self.losses(*data)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(after, weights), weights)
        return {"support_loss": before, "query_loss": after}

    def test_step(self, data: Any) -> dict[str, Any]:
        """What `evaluate` calls."""
        return dict(zip(("support_loss", "query_loss"), self.losses(*data), strict=True))


class Learner(meta_learning.Learner):
    def step(self, support_inputs: Any, support_targets: Any, query_inputs: Any, query_targets: Any) -> tuple[Any, Any]:
        return tuple(self.model.train_step((support_inputs, support_targets, query_inputs, query_targets)).values())


def build(spec: Spec) -> MAML:
    return MAML(spec)
