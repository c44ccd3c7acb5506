"""What the meta-learners of this side share. See core/meta_learning.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ..core import registry
from ..core.meta_learning import MetaSpec
from ..core.noise import Noise
from ..core.technique import Arrays
from . import learning
from .backend import as_array, running, sibling, trainable
from .model import SpecModel
from .techniques import inner_loop


class MetaNetwork(SpecModel):
    """A network that can be asked with other weights than its own: `weights` are by their path in `network`."""

    def __init__(self, spec: MetaSpec) -> None:
        super().__init__(spec)
        self.network = sibling(spec.network()).build(spec.network())
        rule = registry.make(spec.loss())
        self.objective = sibling(rule).build(rule)
        self.inner = inner_loop.build(spec.inner_loop())

    def call(self, features: Any, training: bool = False) -> Any:
        return self.network(features, training=training)

    def own(self) -> dict[str, Any]:
        return {weight.path: tf.convert_to_tensor(weight.value) for weight in self.network.trainable_variables}

    def predicted(self, weights: dict[str, Any], inputs: Any) -> Any:
        pairs = [(weight, weights[weight.path]) for weight in self.network.trainable_variables]
        with keras.StatelessScope(state_mapping=pairs):
            return self.network(inputs)

    def error(self, weights: dict[str, Any], inputs: Any, targets: Any) -> Any:
        return self.objective(targets, self.predicted(weights, inputs))

    def over_tasks(self, of_task: Callable[..., Any], *tasks: Any) -> Any:
        """`of_task` of the arrays of each task, each of its results stacked."""
        if self.spec.parallel:
            return tf.vectorized_map(lambda task: of_task(*task), tasks, fallback_to_while_loop=False)
        first = of_task(*(array[0] for array in tasks))  # says what there is to stack, and is never computed
        given = tf.nest.map_structure(tf.TensorSpec.from_tensor, first)
        return tf.map_fn(lambda task: of_task(*task), tasks, fn_output_signature=given)

    def adapted(self, support_inputs: Any, support_targets: Any, query_inputs: Any) -> Any:
        """Predictions (tasks, steps, samples, features), before adaptation to the support set and after each step."""

        def of_task(support_inputs: Any, support_targets: Any, queries: Any) -> Any:
            batches = [(support_inputs, support_targets)] * self.spec.evaluation_steps
            path = self.inner(self.error, self.own(), batches)
            return (ops.stack([self.predicted(weights, queries) for weights in path]),)

        (found,) = self.over_tasks(of_task, support_inputs, support_targets, query_inputs)
        return found


class Learner(learning.Learner):
    """With a second network, `joint`, that an ordinary optimizer of its own trains on all tasks together."""

    def __init__(self, model: MetaNetwork, noise: Noise | None = None, training: Any = None) -> None:
        super().__init__(model, noise, training)
        model.compile(self.optimizers["network"])

    def restart(self) -> None:
        if "joint" not in self.optimizers:
            rule = self.spec.adam()
            with running(self.model, None):
                self.weights["joint"] = list(trainable(self.copies["joint"], self.spec).values())
                self.optimizers["joint"] = sibling(rule).build(rule, self.weights["joint"])
                self.optimizers["joint"]._all_reduce_sum_gradients = list  # as in the base
            self._built["joint"] = [variable.numpy() for variable in self.optimizers["joint"].variables]
        super().restart()

    def state(self) -> Arrays:
        result = super().state()
        for slot, variables in sibling(self.spec.adam()).slots(self.optimizers["joint"], self.weights["joint"]).items():
            for weight, variable in zip(trainable(self.model, self.spec), variables, strict=True):
                result[f"joint {slot} of {weight.name}"] = as_array(variable).copy()
        return result

    def step_joint(self, inputs: Any, targets: Any) -> Any:
        joint, weights = self.copies["joint"], self.weights["joint"]
        with tf.GradientTape() as tape:
            loss = joint.objective(targets, joint(inputs))
        self.optimizers["joint"].apply(tape.gradient(loss, weights), weights)
        return loss

    def adapt(self, support_inputs: Any, support_targets: Any, query_inputs: Any) -> Any:
        return self.model.adapted(support_inputs, support_targets, query_inputs)

    def adapt_joint(self, support_inputs: Any, support_targets: Any, query_inputs: Any) -> Any:
        return self.copies["joint"].adapted(support_inputs, support_targets, query_inputs)
