"""The multi-layer perceptron. See core/architectures/mlp.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from ...core.architectures.mlp import MLP as Spec
from ...core.techniques.batch_norm import BatchNorm
from ...core.techniques.dropout import Dropout
from ..exact import GELU
from ..model import SpecModel
from ..techniques import batch_norm, dropout


@keras.saving.register_keras_serializable("diglot")
class MLP(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.flatten = layers.Flatten()
        self.hidden = [HiddenLayer(spec, units) for units in spec.hidden_dims]
        self.head = layers.Dense(spec.output_dim)

    def call(self, features: Any, training: bool = False) -> Any:
        x = self.flatten(features)  # (batch, height, width, channels) -> (batch, channels)
        for layer in self.hidden:
            x = layer(x, training=training)
        return self.head(x)


class HiddenLayer(layers.Layer):
    def __init__(self, spec: Spec, units: int) -> None:
        super().__init__()
        self.dense = layers.Dense(units)
        if spec.batch_norm:
            rule = BatchNorm(
                epsilon=spec.norm_epsilon, momentum=spec.norm_momentum, running_variance=spec.running_variance
            )
            self.norm = batch_norm.build(rule, units, image=False)
        else:
            self.norm = layers.Identity()
        self.activation = activation(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.norm(self.dense(x), training=training)
        return self.dropout(self.activation(x), training=training)


def activation(spec: Spec) -> layers.Layer:
    return {
        "relu": layers.ReLU(),
        "leaky_relu": layers.LeakyReLU(spec.negative_slope),
        "tanh": layers.Activation("tanh"),
        "sigmoid": layers.Activation("sigmoid"),
        "gelu": GELU(approximate=False),
    }[spec.activation]


def build(spec: Spec) -> MLP:
    return MLP(spec)
