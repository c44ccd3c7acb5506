"""The Vision Transformer. See core/architectures/vit.py."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from ...core.architectures.vit import ViT as Spec
from ...core.techniques.dropout import Dropout
from ...core.techniques.stochastic_depth import StochasticDepth
from ..exact import constant
from ..feed_forward import FeedForward
from ..model import SpecModel
from ..techniques import dropout, stochastic_depth
from .multi_head_attention import MultiHeadAttention


@keras.saving.register_keras_serializable("diglot")
class ViT(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.patches = PatchEmbedding(spec)
        self.class_token = ClassToken(spec) if spec.class_token else layers.Identity()
        self.positions = LearnedPositions(spec) if spec.positions == "learned" else SinusoidalPositions(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.blocks = [EncoderBlock(spec, rate) for rate in spec.depth_rates()]
        self.norm = layers.LayerNormalization(epsilon=spec.norm_epsilon)
        self.pooling = Pooling(spec)
        self.head = layers.Dense(spec.num_classes) if spec.num_classes else layers.Identity()

    def call(self, image: Any, training: bool = False) -> Any:
        x = self.patches(image)  # (batch, height, width, channels) -> (batch, time, channels)
        x = self.dropout(self.positions(self.class_token(x)), training=training)
        for block in self.blocks:
            x = block(x, training=training)
        x = self.pooling(self.norm(x))  # (batch, time, channels) -> (batch, channels)
        return self.head(x)


class PatchEmbedding(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.projection = layers.Conv2D(spec.d_model, spec.patch_size, strides=spec.patch_size)

    def call(self, image: Any) -> Any:
        x = self.projection(image)  # (batch, rows, columns, channels)
        batch, rows, columns, channels = ops.shape(x)
        return ops.reshape(x, (batch, rows * columns, channels))  # (batch, time, channels)


class ClassToken(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.vectors = self.add_weight(name="vectors", shape=(1, spec.d_model))

    def call(self, x: Any) -> Any:
        batch, _, channels = ops.shape(x)
        token = ops.broadcast_to(self.vectors, (batch, 1, channels))  # (batch, 1, channels)
        return ops.concatenate([token, x], axis=1)


class LearnedPositions(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.vectors = self.add_weight(name="vectors", shape=(spec.num_tokens, spec.d_model))

    def call(self, x: Any) -> Any:
        return x + self.vectors


class SinusoidalPositions(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        quarter = spec.d_model // 4
        frequency = 10000.0 ** (-np.arange(quarter) / quarter)
        angles = np.outer(np.arange(spec.grid), frequency)
        waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)  # (rows or columns, channels / 2)
        columns, rows = np.tile(waves, (spec.grid, 1)), waves.repeat(spec.grid, axis=0)
        vectors = np.concatenate([columns, rows], axis=1)  # (time, channels)
        token = np.zeros((int(spec.class_token), spec.d_model))
        self.waves = np.concatenate([token, vectors])

    def call(self, x: Any) -> Any:
        return x + constant(self.waves, x)


class EncoderBlock(layers.Layer):
    def __init__(self, spec: Spec, rate: float) -> None:
        super().__init__()
        self.norm1 = layers.LayerNormalization(epsilon=spec.norm_epsilon)
        self.attention = MultiHeadAttention(spec.attention())
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.stochastic_depth1 = stochastic_depth.build(StochasticDepth(rate=rate))
        self.norm2 = layers.LayerNormalization(epsilon=spec.norm_epsilon)
        self.feed_forward = FeedForward(spec.d_model, spec.d_ff, "mlp", spec.activation, True, spec.dropout_rate)
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.stochastic_depth2 = stochastic_depth.build(StochasticDepth(rate=rate))

    def call(self, x: Any, training: bool = False) -> Any:
        attended = self.dropout1(self.attend(self.norm1(x), training), training=training)
        x = x + self.stochastic_depth1(attended, training=training)
        fed = self.dropout2(self.feed_forward(self.norm2(x), training=training), training=training)
        return x + self.stochastic_depth2(fed, training=training)

    def attend(self, x: Any, training: bool = False) -> Any:
        """Self-attention."""
        return self.attention(x, x, x, training=training)


class Pooling(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.average, self.first_patch = spec.pooling == "average", int(spec.class_token)

    def call(self, x: Any) -> Any:
        return ops.mean(x[:, self.first_patch :], axis=1) if self.average else x[:, 0]  # (batch, channels)


def build(spec: Spec) -> ViT:
    return ViT(spec)
