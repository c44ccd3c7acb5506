"""What comes between the unscaled gradients and the optimizer's step, and what comes after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from ..core import registry
from ..core.history import STATISTICS
from ..core.technique import Technique
from .backend import sibling
from .nonfinite import norm_of
from .wrapping import Wrapper


@keras.saving.register_keras_serializable("diglot")
class Observed(Wrapper):
    """Measures the gradients, clips them, steps, and moves the averaged weights; no step if a gradient is not finite.

    `told` holds the norm of the last gradients and the rate of their step, `taken` counts steps, `flows` is what
    `flow` says of the last step that was watched, and `averages` are the averaged weights.
    """

    def __init__(
        self,
        inner: keras.optimizers.Optimizer,
        clip: Technique | None = None,
        average: Technique | None = None,
        flow: Technique | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(inner, name)
        self.clip, self.average, self.flow = clip, average, flow
        self.averages: list[Any] = []

    def build(self, variables: Sequence[Any]) -> None:
        super().build(variables)
        dtype = variables[0].dtype
        self.told = self.add_variable(shape=(2,), dtype=dtype, name="told")
        self.taken = self.add_variable(shape=(), dtype="int64", name="taken")
        self.watch = self.add_variable(shape=(), dtype="bool", name="watch")
        if self.flow:
            self.flows = self.add_variable(shape=(len(variables), len(STATISTICS)), dtype=dtype, name="flows")
        if self.average:
            self.averages = self.add_optimizer_variables(variables, "average")
            for average, variable in zip(self.averages, variables, strict=True):
                average.assign(variable)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build(variables)
        pairs = sorted(zip(grads, variables, strict=True), key=lambda pair: self._get_variable_index(pair[1]))
        # An embedding's gradient may hold several rows for one index, which must be added up first.
        given = [(tf.convert_to_tensor(gradient), variable) for gradient, variable in pairs if gradient is not None]
        gradients, variables = [gradient for gradient, _ in given], [variable for _, variable in given]
        norm = norm_of(gradients)
        rate = ops.cast(self.learning_rate, self.told.dtype)
        self.told.assign(ops.stack([ops.cast(norm, self.told.dtype), rate]))
        tf.cond(tf.math.is_finite(norm), lambda: self._take(gradients, variables), lambda: None)

    def _take(self, gradients: list[Any], variables: list[Any]) -> None:
        clipped = gradients
        if self.clip:
            clipped = sibling(self.clip).clip(self.clip, gradients, variables)

        before = [tf.identity(variable.value) for variable in self._trainable_variables] if self.flow else []
        self.inner.apply(clipped, variables)
        if self.flow:
            found = dict(zip(map(id, variables), gradients, strict=True))
            tf.cond(self.watch.value, lambda: self._note(found, before), lambda: None)
        if self.average:
            weights = [variable.value for variable in self._trainable_variables]
            sibling(self.average).build(self.average)(self.averages, weights, self.taken.value)
        self.taken.assign_add(1)

    def _note(self, gradients: dict[int, Any], before: list[Any]) -> None:
        found = [gradients.get(id(variable)) for variable in self._trainable_variables]
        after = [variable.value for variable in self._trainable_variables]
        self.flows.assign(sibling(self.flow).build(self.flow)(found, before, after))

    def get_config(self) -> dict[str, Any]:
        kept = {"clip": self.clip, "average": self.average, "flow": self.flow}
        written = {key: [rule.name, rule.fields()] for key, rule in kept.items() if rule}
        return {**super().get_config(), "rules": written}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        rules = {key: registry.make(name, **fields) for key, (name, fields) in config.pop("rules").items()}
        return super().from_config({**config, **rules}, custom_objects)
