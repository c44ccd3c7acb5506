"""The Transformer as a language model. See core/architectures/transformer_lm.py."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from ...core.architectures.transformer_lm import MASKED_SCORE
from ...core.architectures.transformer_lm import TransformerLM as Spec
from ...core.techniques.dropout import Dropout
from ..exact import GELU, constant
from ..model import SpecModel
from ..techniques import dropout


@keras.saving.register_keras_serializable("diglot")
class TransformerLM(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.scale = math.sqrt(spec.d_model) if spec.scale_embedding else 1.0
        self.token_embedding = layers.Embedding(spec.vocab_size, spec.d_model)
        self.positions = LearnedPositions(spec) if spec.positions == "learned" else SinusoidalPositions(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.mask = AttentionMask(spec) if spec.is_masked else None
        self.blocks = [TransformerBlock(spec) for _ in range(spec.num_layers)]
        self.norm = layers.LayerNormalization(epsilon=spec.norm_epsilon) if spec.norm == "pre" else layers.Identity()
        self.head = layers.Dense(spec.vocab_size)

    def call(self, tokens: Any, training: bool = False) -> Any:
        x = self.token_embedding(tokens)  # (batch, time) -> (batch, time, channels)
        x = x * constant(self.scale, x)
        x = self.dropout(self.positions(x), training=training)
        mask = None if self.mask is None else self.mask(tokens)
        for block in self.blocks:
            x = block(x, mask, training=training)
        return self.head(self.norm(x))


class LearnedPositions(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.vectors = self.add_weight(name="vectors", shape=(spec.max_len, spec.d_model))

    def call(self, x: Any) -> Any:
        return x + self.vectors[: ops.shape(x)[1]]


class SinusoidalPositions(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        time = np.arange(spec.max_len, dtype="float64")
        frequency = 10000.0 ** (-np.arange(0, spec.d_model, 2) / spec.d_model)
        angles = np.outer(time, frequency)  # (time, pairs)
        waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1)  # (time, pairs, 2)
        self.waves = waves.reshape(spec.max_len, spec.d_model)  # (time, channels)

    def call(self, x: Any) -> Any:
        return x + constant(self.waves, x)[: ops.shape(x)[1]]


class AttentionMask(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.causal, self.pad_token_id = spec.causal, spec.pad_token_id

    def call(self, tokens: Any) -> Any:
        batch, time = ops.shape(tokens)
        mask = ops.ones((batch, 1, time, time), dtype="bool")  # True: attend
        if self.causal:
            mask = ops.tril(mask)
        if self.pad_token_id is not None:
            mask = ops.logical_and(mask, ops.not_equal(tokens, self.pad_token_id)[:, None, None, :])
        return mask  # (batch, heads, queries, keys)


class TransformerBlock(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pre_norm = spec.norm == "pre"
        self.attention = MultiHeadAttention(spec)
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm1 = layers.LayerNormalization(epsilon=spec.norm_epsilon)
        self.feed_forward = FeedForward(spec)
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm2 = layers.LayerNormalization(epsilon=spec.norm_epsilon)

    def call(self, x: Any, attention_mask: Any = None, training: bool = False) -> Any:
        if self.pre_norm:
            attended = self.attention(self.norm1(x), attention_mask, training=training)
            x = x + self.dropout1(attended, training=training)
            return x + self.dropout2(self.feed_forward(self.norm2(x), training=training), training=training)
        attended = self.attention(x, attention_mask, training=training)
        x = self.norm1(x + self.dropout1(attended, training=training))
        return self.norm2(x + self.dropout2(self.feed_forward(x, training=training), training=training))


class MultiHeadAttention(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.num_heads = spec.num_heads
        self.query = layers.Dense(spec.d_model)
        self.key = layers.Dense(spec.d_model)
        self.value = layers.Dense(spec.d_model)
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.projection = layers.Dense(spec.d_model)

    def call(self, x: Any, attention_mask: Any = None, training: bool = False) -> Any:
        query = self.split_heads(self.query(x))
        key = self.split_heads(self.key(x))
        value = self.split_heads(self.value(x))
        scale = constant(math.sqrt(query.shape[-1]), query)
        scores = query @ ops.swapaxes(key, -2, -1) / scale  # (batch, heads, queries, keys)
        weights = self.dropout(self.map(scores, attention_mask), training=training)
        return self.projection(self.join_heads(weights @ value))

    def split_heads(self, x: Any) -> Any:
        batch, time, channels = ops.shape(x)
        x = ops.reshape(x, (batch, time, self.num_heads, channels // self.num_heads))
        return ops.swapaxes(x, 1, 2)  # (batch, heads, time, channels)

    def join_heads(self, x: Any) -> Any:
        batch, heads, time, channels = ops.shape(x)
        return ops.reshape(ops.swapaxes(x, 1, 2), (batch, time, heads * channels))  # (batch, time, channels)


class AttentionMap(layers.Layer):
    def call(self, scores: Any, attention_mask: Any = None) -> Any:
        if attention_mask is None:
            return ops.softmax(scores, axis=-1)
        weights = ops.softmax(ops.where(attention_mask, scores, constant(MASKED_SCORE, scores)), axis=-1)
        return ops.where(attention_mask, weights, constant(0.0, weights))


class FeedForward(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.expand = layers.Dense(spec.d_ff)
        self.activation = activation(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.contract = layers.Dense(spec.d_model)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.activation(self.expand(x))
        return self.contract(self.dropout(x, training=training))


def activation(spec: Spec) -> layers.Layer:
    return {
        "relu": layers.ReLU(),
        "gelu": GELU(approximate=False),
        "gelu_tanh": GELU(approximate=True),
    }[spec.activation]


def build(spec: Spec) -> TransformerLM:
    return TransformerLM(spec)
