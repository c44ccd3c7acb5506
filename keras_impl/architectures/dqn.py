"""The deep Q-network. See core/architectures/dqn.py."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from ...core.architectures.dqn import DQN as Spec
from ...core.noise import Noise
from .. import learning
from ..exact import constant
from ..model import SpecModel
from ..techniques import temporal_difference


@keras.saving.register_keras_serializable("diglot")
class DQN(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.hidden = [layers.Dense(width) for width in spec.widths]
        self.head = Dueling(spec) if spec.dueling else layers.Dense(spec.actions)

    def call(self, observations: Any) -> Any:
        x = observations
        for layer in self.hidden:
            x = ops.relu(layer(x))
        return self.head(x)


class Dueling(layers.Layer):
    """The value of the state, and by how much each action is better than their mean."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.value = layers.Dense(1)
        self.advantage = layers.Dense(spec.actions)

    def call(self, x: Any) -> Any:
        advantage = self.advantage(x)
        return self.value(x) + advantage - ops.mean(advantage, axis=1, keepdims=True)


class Learner(learning.Learner):
    def __init__(self, model: DQN, noise: Noise | None = None) -> None:
        super().__init__(model, noise)
        self.objective = temporal_difference.build(model.spec.objective())

    def act(self, observations: Any) -> Any:
        return self.model(observations)

    def step(
        self, observations: Any, actions: Any, rewards: Any, next_observations: Any, terminated: Any
    ) -> tuple[Any, Any]:
        next_values = self.copies["target"](next_observations)
        next_online = self.model(next_observations) if self.spec.double else next_values
        with tf.GradientTape() as tape:
            loss, targets = self.objective(
                self.model(observations), actions, rewards, terminated, next_values, next_online
            )
        weights = self.weights["network"]
        self.optimizers["network"].apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
        return targets, loss

    def step_target(self) -> tuple[()]:
        pairs = zip(self.copies["target"].trainable_variables, self.model.trainable_variables, strict=True)
        for kept, weight in pairs:
            if self.spec.target_update == "hard":
                kept.assign(weight)
            else:
                kept.assign_add(constant(self.spec.tau, weight) * (weight - kept))
        return ()


def build(spec: Spec) -> DQN:
    return DQN(spec)
