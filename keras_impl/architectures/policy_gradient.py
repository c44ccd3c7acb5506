"""REINFORCE with a baseline, and an advantage actor-critic. See core/architectures/policy_gradient.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from ...core.architectures.policy_gradient import PolicyGradient as Spec
from ...core.noise import Noise
from .. import learning
from ..model import SpecModel
from ..techniques import advantages, clip_by_global_norm, policy_loss


@keras.saving.register_keras_serializable("diglot")
class PolicyGradient(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.policy = Network(spec, spec.actions)
        self.critic = Network(spec, 1)

    def call(self, observations: Any) -> tuple[Any, Any]:
        return self.policy(observations), self.critic(observations)


class Network(layers.Layer):
    def __init__(self, spec: Spec, outputs: int) -> None:
        super().__init__()
        self.hidden = [layers.Dense(width) for width in spec.widths]
        self.head = layers.Dense(outputs)

    def call(self, observations: Any) -> Any:
        x = observations
        for layer in self.hidden:
            x = ops.relu(layer(x))
        return self.head(x)


class Learner(learning.Learner):
    def __init__(self, model: PolicyGradient, noise: Noise | None = None) -> None:
        super().__init__(model, noise)
        self.advantages = advantages.build(model.spec.judged())
        self.objective = policy_loss.build(model.spec.objective())

    def act(self, observations: Any) -> tuple[Any, Any]:
        return self.model(observations)

    def step(
        self, observations: Any, actions: Any, rewards: Any, next_observations: Any, terminated: Any, ended: Any
    ) -> tuple[Any, ...]:
        next_values = ops.squeeze(self.model.critic(next_observations), 2)  # (time, environments, 1) -> without the 1
        with tf.GradientTape() as tape:
            # (time, environments, size) -> (samples, ...)
            logits, value = self.model(ops.reshape(observations, (-1, self.spec.observation_size)))
            values = ops.reshape(value, ops.shape(rewards))  # (samples, 1) -> (time, environments)
            gained, returns = self.advantages(rewards, values, next_values, terminated, ended)
            flat = [ops.reshape(array, (-1,)) for array in (actions, gained, values, returns)]
            loss, policy, worth, entropy = self.objective(logits, *flat)
        found = tape.gradient(loss, {name: [weight.value for weight in self.weights[name]] for name in self.weights})
        for name, optimizer in self.optimizers.items():
            optimizer.apply(clip_by_global_norm.clip(self.spec.clipping(), found[name]), self.weights[name])
        return policy, worth, entropy, loss


def build(spec: Spec) -> PolicyGradient:
    return PolicyGradient(spec)
