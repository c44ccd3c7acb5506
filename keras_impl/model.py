"""What every Keras sibling shares: a model that is made from a spec, and that Keras can save and load."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Self

import keras

from ..core import registry
from ..core.spec import Spec
from .means import Means
from .precision import precision
from .refusal import refused

LENGTHS = ("time", "queries", "keys")


class SpecModel(keras.Model):
    """A `keras.Model` that carries its spec. Its configuration is the spec's name, fields and precision.

    A network of several inputs may be given them together as well, by name or in their order, as `fit` does. One with
    steps of its own names in `REPORTED` what they tell `fit` and `evaluate`.
    """

    REPORTED: tuple[str, ...] = ()

    def __init__(self, spec: Spec) -> None:
        super().__init__(name=spec.name)
        self.spec = spec
        self.means = Means(self.REPORTED)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What Keras sets back before every epoch."""
        return [*super().metrics, *self.means.metrics]

    def reported(self, data: Any, *losses: Any) -> dict[str, Any]:
        """What a step on these samples gives to Keras: of each loss in `REPORTED`, the mean of the epoch so far."""
        return self.means.take(data, losses)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if len(inputs) == 1 and isinstance(inputs[0], dict):
            inputs = self._by_name(inputs[0])
        elif len(inputs) == 1 and isinstance(inputs[0], list | tuple):
            inputs = tuple(inputs[0])
        return super().__call__(*inputs, **options)

    def _by_name(self, given: dict[str, Any]) -> tuple[Any, ...]:
        names = [tensor.name for tensor in self.spec.inputs()]
        for wrong in (*(name for name in names if name not in given), *(name for name in given if name not in names)):
            word = "needs the" if wrong in names else "has no"
            raise refused(f"{self.spec.name} {word} input {wrong!r}; its inputs are {', '.join(names)}")
        return tuple(given[name] for name in names)

    def make_variables(self) -> None:
        """Call the model on symbolic inputs of any batch size and any length in time, as a functional model is."""
        inputs = [keras.Input(shape[1:], dtype=dtype) for shape, dtype in self._signature()]
        for layer in self._flatten_layers():
            # Keras calls a layer without a `build` of its own once more to build it: twice as often at each level.
            if type(layer).build in (keras.layers.Layer.build, keras.Model.build):
                layer.built = True
        self(*inputs)
        self.build(inputs[0].shape)

    def export(self, filepath: Any, *args: Any, **options: Any) -> None:
        """As Keras's. Of its own it would ask for one input of floats, whatever a model of a class takes."""
        signature = [keras.InputSpec(shape=shape, dtype=dtype) for shape, dtype in self._signature()]
        super().export(filepath, *args, **{"input_signature": signature, **options})

    def _default_save_signature(self) -> None:
        """Keras would trace a class's model with its first input alone; `export` gives the signature of all."""

    def _signature(self) -> list[tuple[tuple[int | None, ...], str]]:
        """Shape and dtype of every input, of any batch size and of any length in time."""
        dtypes = {"int": "int64", "float": self.compute_dtype}
        result = []
        for tensor in self.spec.inputs():
            sizes = zip(tensor.axes.split(), tensor.shape, strict=True)
            shape = tuple(None if axis in LENGTHS else size for axis, size in sizes)
            result.append((shape, dtypes[tensor.dtype]))
        return result

    def build_from_config(self, config: dict[str, Any]) -> None:
        self.make_variables()

    def get_config(self) -> dict[str, Any]:
        return {"spec": self.spec.name, "fields": self.spec.fields(), "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        with precision(config["dtype"]):
            return cls(registry.make(config["spec"], **config["fields"]))


@contextlib.contextmanager
def undrawn(model: keras.Model) -> Iterator[None]:
    """Every variable that the model's layers make inside holds zeros; who makes them gives them their values.

    On symbolic inputs Keras draws a variable anew at each use, and once more at the end: a fifth of `build`.
    """

    def blank(add: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return add(*args, **{**options, "initializer": "zeros"})

    made = {id(layer): vars(layer) for layer in model._flatten_layers()}
    for layer in model._flatten_layers():
        made[id(layer)].setdefault("add_weight", functools.partial(blank, layer.add_weight))
    try:
        yield
    finally:
        for attributes in made.values():
            del attributes["add_weight"]
