"""A Transformer of linear attention and gated linear units. See core/architectures/efficient_transformer.py."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from ...core.architectures.efficient_transformer import EfficientTransformer as Spec
from ...core.techniques.dropout import Dropout
from ..cache import Cache
from ..embedding import Embedding, LearnedPositions, SinusoidalPositions
from ..exact import constant
from ..feed_forward import FeedForward
from ..model import SpecModel
from ..techniques import dropout
from .linear_attention import LinearAttention, Memory


class RecurrentCache(Cache):
    """A cache that does not grow: `tokens` holds how many there were, (batch, 1), and not which."""

    def extended(self, tokens: Any) -> tuple[Any, Any]:
        """The new tokens alone, and the position of the first of them."""
        start = ops.cast(self.tokens[0, 0], "int32")
        self.tokens = self.tokens + ops.cast(ops.shape(tokens)[1], "int64")
        return tokens, int(start) if tf.executing_eagerly() else start


@keras.saving.register_keras_serializable("diglot")
class EfficientTransformer(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.scale = math.sqrt(spec.d_model) if spec.scale_embedding else 1.0
        self.token_embedding = Embedding(spec.vocab_size, spec.d_model)
        form = LearnedPositions if spec.positions == "learned" else SinusoidalPositions
        self.positions = form(spec.max_len, spec.d_model)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.mask = PaddingMask(spec.pad_token_id) if spec.pad_token_id is not None else None
        self.blocks = [EfficientBlock(spec) for _ in range(spec.num_layers)]
        self.norm = layers.LayerNormalization(epsilon=spec.norm_epsilon) if spec.norm == "pre" else layers.Identity()
        self.head = layers.Dense(spec.vocab_size)

    def call(self, tokens: Any, training: bool = False) -> Any:
        x = self.dropout(self.embed(tokens), training=training)
        mask = None if self.mask is None else self.mask(tokens)
        for block in self.blocks:
            x = block(x, mask, training=training)
        return self.head(self.norm(x))

    def embed(self, tokens: Any, start: Any = 0) -> Any:
        """The tokens as vectors, with their positions; the first is at `start`."""
        x = self.token_embedding(tokens)  # (batch, time) -> (batch, time, channels)
        return self.positions(x * constant(self.scale, x), start=start)

    def start(self, batch: int) -> Cache:
        """The cache of a decoder that has seen nothing yet."""
        count = ops.zeros((batch, 1), dtype="int64")
        return RecurrentCache(count, [block.attention.start(batch) for block in self.blocks])

    def decode(self, tokens: Any, cache: Cache) -> Any:
        """The logits after the last of these tokens, which follow those that the cache has seen and are added to it."""
        tokens, start = cache.extended(tokens)
        x = self.dropout(self.embed(tokens, start=start))
        mask = None if self.mask is None else self.mask(tokens)
        for block, kept in zip(self.blocks, cache.layers, strict=True):
            x = block(x, mask, cache=kept)
        return self.head(self.norm(x[:, -1:]))  # (batch, 1, channels)


class PaddingMask(layers.Layer):
    def __init__(self, pad_token_id: int) -> None:
        super().__init__()
        self.pad_token_id = pad_token_id

    def call(self, tokens: Any) -> Any:
        return ops.not_equal(tokens, self.pad_token_id)  # True: attend


class EfficientBlock(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pre_norm = spec.norm == "pre"
        self.attention = LinearAttention(spec.attention())
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm1 = layers.LayerNormalization(epsilon=spec.norm_epsilon)
        self.feed_forward = FeedForward(spec.d_model, spec.d_ff, spec.feed_forward, "", spec.bias, spec.dropout_rate)
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm2 = layers.LayerNormalization(epsilon=spec.norm_epsilon)

    def call(self, x: Any, attention_mask: Any = None, cache: Memory | None = None, training: bool = False) -> Any:
        if self.pre_norm:
            attended = self.attention(self.norm1(x), attention_mask, cache=cache)
            x = x + self.dropout1(attended, training=training)
            return x + self.dropout2(self.feed_forward(self.norm2(x), training=training), training=training)
        attended = self.attention(x, attention_mask, cache=cache)
        x = self.norm1(x + self.dropout1(attended, training=training))
        return self.norm2(x + self.dropout2(self.feed_forward(x, training=training), training=training))


def build(spec: Spec) -> EfficientTransformer:
    return EfficientTransformer(spec)
