"""The temporal-difference error of Q-learning. See core/techniques/temporal_difference.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.temporal_difference import TemporalDifference as Spec
from ..exact import constant


def build(spec: Spec) -> Callable[..., tuple[Any, Any]]:
    def loss(
        values: Any, actions: Any, rewards: Any, terminated: Any, next_values: Any, next_online: Any
    ) -> tuple[Any, Any]:
        best = ops.argmax(next_online if spec.double else next_values, axis=1)
        future = constant(spec.discount, values) * (1 - terminated) * _of(next_values, best)
        targets = ops.stop_gradient(rewards + future)
        error, delta = ops.abs(_of(values, actions) - targets), constant(spec.delta, values)
        near = ops.minimum(error, delta)  # the quadratic part of an error, and the linear rest
        return ops.mean(constant(0.5, error) * near * near + delta * (error - near)), targets

    return loss


def _of(values: Any, actions: Any) -> Any:
    """The values of the actions: (batch, actions) -> (batch)."""
    return tf.gather(values, actions, batch_dims=1)


def trace(spec: Spec, case: Arrays) -> Arrays:
    names = ("values", "next_values", "next_online")
    given = {name: tf.convert_to_tensor(array) for name, array in case.items()}
    sources = [given[name] for name in names]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        loss, targets = build(spec)(**given)
    found = tape.gradient(loss, sources, unconnected_gradients="zero")
    gradients = {f"gradient of {name}": gradient.numpy() for name, gradient in zip(names, found, strict=True)}
    return {"loss": loss.numpy(), "targets": targets.numpy(), **gradients}
