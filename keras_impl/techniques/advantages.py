"""Returns and advantages of an episode's steps. See core/techniques/advantages.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.advantages import Advantages as Spec
from ..exact import constant


def build(spec: Spec) -> Callable[..., tuple[Any, Any]]:
    def advantages(rewards: Any, values: Any, next_values: Any, terminated: Any, ended: Any) -> tuple[Any, Any]:
        discount, epsilon = constant(spec.discount, values), constant(spec.epsilon, values)
        delta = rewards + discount * (1 - terminated) * next_values - values
        kept = discount * constant(spec.gae_lambda, values) * (1 - ended)

        def add(following: Any, step: Any) -> Any:
            return step[0] + step[1] * following

        result = tf.scan(add, (delta, kept), initializer=ops.zeros_like(delta[0]), reverse=True)
        returns = result + values
        if spec.normalised:
            result = (result - ops.mean(result)) / (ops.std(result) + epsilon)
        return ops.stop_gradient(result), ops.stop_gradient(returns)

    return advantages


def trace(spec: Spec, case: Arrays) -> Arrays:
    found = build(spec)(**{name: tf.convert_to_tensor(array) for name, array in case.items()})
    return {name: tensor.numpy() for name, tensor in zip(("advantages", "returns"), found, strict=True)}
