"""The loss of a policy and of the values that it is judged by. See core/techniques/policy_loss.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from ...core.technique import Arrays
from ...core.techniques.policy_loss import PolicyLoss as Spec
from ..exact import constant


def build(spec: Spec) -> Callable[..., tuple[Any, ...]]:
    def loss(logits: Any, actions: Any, advantages: Any, values: Any, returns: Any) -> tuple[Any, ...]:
        logs = ops.log_softmax(logits, axis=1)
        taken = tf.gather(logs, actions, batch_dims=1)  # (samples, actions) -> (samples)
        policy = -ops.mean(taken * ops.stop_gradient(advantages))
        value = ops.mean(ops.square(values - ops.stop_gradient(returns)))
        entropy = -ops.mean(ops.sum(ops.exp(logs) * logs, axis=1))
        value_weight, entropy_weight = constant(spec.value_weight, value), constant(spec.entropy_weight, value)
        return policy + value_weight * value - entropy_weight * entropy, policy, value, entropy

    return loss


def trace(spec: Spec, case: Arrays) -> Arrays:
    names = ("logits", "values", "advantages", "returns")
    given = {name: tf.convert_to_tensor(array) for name, array in case.items()}
    sources = [given[name] for name in names]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        losses = build(spec)(**given)
    found = tape.gradient(losses[0], sources, unconnected_gradients="zero")
    result = dict(zip(("loss", "policy", "value", "entropy"), losses, strict=True))
    result |= {f"gradient of {name}": gradient for name, gradient in zip(names, found, strict=True)}
    return {name: tensor.numpy() for name, tensor in result.items()}
