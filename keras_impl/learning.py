"""What the learners of this side share: the model, its optimizers and copies, and the way in and out of tensors."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from ..core import registry
from ..core.learning import STEP, Training, under
from ..core.noise import Noise
from ..core.technique import Arrays
from .backend import as_array, build, get_state, loss_of, running, set_state, sibling, spec_of, to_tensor, trainable


class Learner:
    """A model in training. A subclass has a method for each verb, on tensors, which runs as a graph.

    `weights` are those that an optimizer moves, by the optimizer's name; `copies` are networks beside the model, which
    no optimizer moves, by name.
    """

    def __init__(self, model: keras.Model, noise: Noise | None = None, training: Training | None = None) -> None:
        self.spec, self.noise = spec_of(model), noise
        self.training: Any = training or self.spec
        self.model = model
        self.optimizers: dict[str, keras.optimizers.Optimizer] = {}
        self.weights: dict[str, list[keras.Variable]] = {}
        self._graphs: dict[str, Any] = {}
        with running(model, None):
            for name, (rule, prefix) in self.training.optimizers().items():
                self.weights[name] = list(self._named(prefix).values())
                told = rule.told(self._named(prefix))
                self.optimizers[name] = sibling(rule).build(rule, self.weights[name], **told)
                # There is one replica, of which nothing is summed; TensorFlow would keep every graph with it for ever.
                self.optimizers[name]._all_reduce_sum_gradients = list
        self.copies = {name: build(self.spec, model.variable_dtype) for name in self.training.COPIES}
        self._built = {name: [value.numpy() for value in item.variables] for name, item in self.optimizers.items()}
        self.restart()

    def restart(self) -> None:
        """Begin anew with the weights that the model has by now."""
        for name, optimizer in self.optimizers.items():
            for variable, value in zip(optimizer.variables, self._built[name], strict=True):
                variable.assign(value)
        for other in self.copies.values():
            set_state(other, get_state(self.model))

    def _named(self, prefix: str) -> dict[Any, keras.Variable]:
        inside = f"{prefix}." if prefix else ""
        found = trainable(self.model, self.spec)
        return {weight: variable for weight, variable in found.items() if weight.name.startswith(inside)}

    def do(self, verb: str, arrays: Arrays, step: int = 0) -> Arrays:
        declared = self.training.verbs()[verb]
        if self.noise is not None:
            self.noise.step = step
        tensors = [to_tensor(self.model, tensor, arrays) for tensor in declared.takes]
        if verb not in self._graphs:
            self._graphs[verb] = tf.function(getattr(self, verb), autograph=False, reduce_retracing=True)
        with running(self.model, self.noise if verb.startswith(STEP) else None):
            given = self._graphs[verb](*tensors)
        given = given if isinstance(given, tuple) else (given,)
        return {tensor.name: as_array(result) for tensor, result in zip(declared.gives, given, strict=True)}

    def state(self) -> Arrays:
        result: Arrays = dict(get_state(self.model))
        for name, other in self.copies.items():
            result |= {f"{name} {key}": array for key, array in get_state(other).items()}
        for name, (rule, prefix) in self.training.optimizers().items():
            for slot, variables in sibling(rule).slots(self.optimizers[name], self.weights[name]).items():
                for weight, variable in zip(self._named(prefix), variables, strict=True):
                    result[f"{slot} of {weight.name}"] = as_array(variable).copy()
        return result

    def kept(self) -> Arrays:
        result: Arrays = {f"model.{key}": array for key, array in get_state(self.model).items()}
        for name, other in self.copies.items():
            result |= {f"copies.{name}.{key}": array for key, array in get_state(other).items()}
        for name, optimizer in self.optimizers.items():
            for index, variable in enumerate(optimizer.variables):
                result[f"optimizers.{name}.{index}"] = as_array(variable).copy()
        return result

    def restore(self, kept: Arrays) -> None:
        set_state(self.model, under(kept, "model"))
        for name, other in self.copies.items():
            set_state(other, under(kept, f"copies.{name}"))
        for name, optimizer in self.optimizers.items():
            for index, variable in enumerate(optimizer.variables):
                variable.assign(kept[f"optimizers.{name}.{index}"])


class SupervisedLearner(Learner):
    """A model that learns by its spec's loss. A batch is the inputs, with the targets behind them."""

    def __init__(self, model: keras.Model, noise: Noise | None = None, training: Training | None = None) -> None:
        super().__init__(model, noise, training)
        rule = registry.make(self.spec.loss(), **self.spec.loss_fields())
        with running(model, None):
            self.loss = sibling(rule).build(rule)

    def step(self, *batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(self.model, batch, self.loss)
        weights = self.weights["network"]
        self.optimizers["network"].apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
        return loss

    def evaluate(self, *batch: Any) -> tuple[Any, Any]:
        given = self.model(*batch[:-1], training=False)
        return loss_of(self.model, batch, self.loss, training=False), given[0] if isinstance(given, tuple) else given
