"""What every Keras sibling shares: a model that is made from a spec, and that Keras can save and load."""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from ..core import registry
from ..core.spec import Spec
from .precision import precision


class SpecModel(keras.Model):
    """A `keras.Model` that carries its spec. Its configuration is the spec's name, fields and precision."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(name=spec.name)
        self.spec = spec

    def build(self, input_shape: Any = None) -> None:
        dtypes = {"int": "int64", "float": self.compute_dtype}
        shapes = [tuple(size or 1 for size in tensor.shape) for tensor in self.spec.inputs()]
        self.call(
            *[ops.zeros(shape, dtypes[tensor.dtype]) for shape, tensor in zip(shapes, self.spec.inputs(), strict=True)]
        )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {"spec": self.spec.name, "fields": self.spec.fields(), "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        with precision(config["dtype"]):
            return cls(registry.make(config["spec"], **config["fields"]))
