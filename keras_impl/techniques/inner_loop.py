"""The inner loop of gradient-based meta-learning. See core/techniques/inner_loop.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.inner_loop import InnerLoop as Spec
from ..exact import constant

Weights = dict[str, Any]


def build(spec: Spec) -> Callable[..., list[Weights]]:
    def adapt(loss: Callable[..., Any], weights: Weights, batches: Iterable[Any]) -> list[Weights]:
        path = [weights]
        for batch in batches:
            with tf.GradientTape() as tape:
                tape.watch(path[-1])
                value = loss(path[-1], *batch)
            slopes = tape.gradient(value, path[-1])
            if spec.first_order:
                slopes = {name: ops.stop_gradient(slope) for name, slope in slopes.items()}
            path.append(
                {name: weight - constant(spec.rate, weight) * slopes[name] for name, weight in path[-1].items()}
            )
        return path

    return adapt


def trace(spec: Spec, case: Arrays) -> Arrays:
    given = {name: tf.convert_to_tensor(array) for name, array in case.items()}
    weights = {name: given[name] for name in ("kernel", "bias")}
    batches = list(zip(given["support inputs"], given["support targets"], strict=True))
    with tf.GradientTape() as tape:
        tape.watch(weights)
        path = build(spec)(squared_error, weights, batches)
        query = squared_error(path[-1], given["query inputs"], given["query targets"])
    support = [squared_error(weights, *batch) for weights, batch in zip(path, batches, strict=False)]
    found = tape.gradient(query, weights)
    result = {"support losses": tf.stack(support), **path[-1], "query loss": query}
    result |= {f"gradient of {name}": gradient for name, gradient in found.items()}
    return {name: tensor.numpy() for name, tensor in result.items()}


def squared_error(weights: Weights, inputs: Any, targets: Any) -> Any:
    return ops.mean(ops.square(inputs @ weights["kernel"] + weights["bias"] - targets))
