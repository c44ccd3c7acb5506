"""Optimizers around an optimizer: what they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class Wrapper(keras.optimizers.Optimizer):
    """An optimizer that does something with the gradients, and leaves the step to the one within.

    The rate, the count of steps and the loss scale are those of the inner optimizer.
    """

    def __init__(self, inner: keras.optimizers.Optimizer, name: str | None = None) -> None:
        super().__init__(learning_rate=0.0, name=name)
        self.inner = inner

    def build(self, variables: Sequence[Any]) -> None:
        if not self.inner.built:
            self.inner.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Any]:
        return [*super().variables, *self.inner.variables]

    @property
    def _learning_rate(self) -> Any:
        return self.inner._learning_rate

    @_learning_rate.setter
    def _learning_rate(self, rate: Any) -> None:
        """The inner optimizer has the rate; Keras gives every optimizer one."""

    @property
    def learning_rate(self) -> Any:
        return self.inner.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        self.inner.learning_rate = rate

    @property
    def iterations(self) -> Any:
        return self.inner.iterations

    def scale_loss(self, loss: Any) -> Any:
        return self.inner.scale_loss(loss)

    def finalize_variable_values(self, variables: Sequence[Any]) -> None:
        self.inner.finalize_variable_values(variables)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        inner = keras.saving.deserialize_keras_object(config["inner"], custom_objects=custom_objects)
        return cls(**{**config, "inner": inner})
