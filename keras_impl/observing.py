"""What a model's ReLUs give, wherever they stand in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from .backend import walk


def relus(model: keras.Model, inputs: Sequence[Any], reduce: Callable[..., Any]) -> list[tuple[str, Any]]:
    """`reduce(output, axis of the units)` of every ReLU of an evaluation, in order, with the name of its layer."""
    names: list[str] = []

    def observed(*given: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        owners: dict[str, str] = {}
        with _named(model, graph, owners):
            model(*given, training=False)
        found = [operation for operation in graph.get_operations() if _is_relu(operation)]
        names[:] = [owners.get(operation.name, "model") for operation in found]
        return [reduce(operation.outputs[0], -1) for operation in found]

    results = tf.function(observed, autograph=False)(*inputs)
    return list(zip(names, results, strict=True))


def _is_relu(operation: Any) -> bool:
    return operation.type == "Relu" and operation.outputs[0].shape.rank != 1


@contextmanager
def _named(model: keras.Model, graph: Any, owners: dict[str, str]) -> Iterator[None]:
    """Inside, each operation of the graph goes to the innermost layer whose call makes it.

    Keras has no hooks, so each layer's `call` is shadowed on the instance for the time being.
    """

    def shadow(name: str, call: Any) -> Any:
        def made(*args: Any, **options: Any) -> Any:
            start = len(graph.get_operations())
            output = call(*args, **options)
            for operation in graph.get_operations()[start:]:
                owners.setdefault(operation.name, name)
            return output

        return made

    paths = {id(item): name for name, item in walk(model)}
    layers = [item for item in model._flatten_layers(include_self=False)]
    before = [vars(item).get("call") for item in layers]
    try:
        for item in layers:
            vars(item)["call"] = shadow(paths.get(id(item), item.name), item.call)
        yield
    finally:
        for item, call in zip(layers, before, strict=True):
            vars(item).pop("call", None)
            if call is not None:
                vars(item)["call"] = call
