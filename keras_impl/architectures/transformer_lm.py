"""The Transformer as one stack of blocks. See core/architectures/transformer_lm.py."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.transformer_lm import NO_DECODER, NO_TOKEN_TYPES
from ...core.architectures.transformer_lm import TransformerLM as Spec
from ...core.techniques.dropout import Dropout
from ...core.transformer_parts import SHORTEST
from ..cache import Cache, KeyValues
from ..embedding import Embedding, LearnedPositions, SinusoidalPositions
from ..exact import constant
from ..feed_forward import FeedForward
from ..model import SpecModel
from ..refusal import refused
from ..techniques import dropout
from .grouped_query_attention import GroupedQueryAttention
from .multi_head_attention import MultiHeadAttention


@keras.saving.register_keras_serializable("diglot")
class TransformerLM(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.scale = math.sqrt(spec.d_model) if spec.scale_embedding else 1.0
        self.token_embedding = Embedding(spec.vocab_size, spec.d_model)
        self.token_type_embedding = Embedding(spec.num_token_types, spec.d_model) if spec.num_token_types else None
        self.positions = positions(spec)
        self.embedding_norm = norm(spec) if spec.embedding_norm else layers.Identity()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.mask = AttentionMask(spec.causal, spec.pad_token_id) if spec.is_masked else None
        self.blocks = [TransformerBlock(spec) for _ in range(spec.num_layers)]
        self.norm = norm(spec) if spec.norm == "pre" else layers.Identity()
        self.head = head(spec)
        self.pooler = pooler(spec)

    def call(self, tokens: Any, token_types: Any = None, training: bool = False) -> Any:
        x = self.embed(tokens, token_types, training=training)
        mask = None if self.mask is None else self.mask(tokens)
        states = [x]
        for block in self.blocks:
            states.append(block(states[-1], mask, training=training))
        states[-1] = self.norm(states[-1])
        if self.head is not None:
            results = (self.logits(states[-1]),)
        elif self.pooler is not None:
            results = states[-1], self.pool(states[-1], tokens)
        else:
            results = (states[-1],)
        results = (*results, *states) if self.spec.hidden_states else results
        return results if len(results) > 1 else results[0]

    def embed(self, tokens: Any, token_types: Any = None, start: Any = 0, training: bool = False) -> Any:
        """What the first block is given; the first token is at position `start`."""
        x = self.token_embedding(tokens)  # (batch, time) -> (batch, time, channels)
        x = x * constant(self.scale, x)
        if self.token_type_embedding is not None:
            if token_types is None:
                raise refused(NO_TOKEN_TYPES)
            x = x + self.token_type_embedding(token_types)
        if self.positions is not None:
            x = self.positions(x, start=start)
        return self.dropout(self.embedding_norm(x), training=training)

    def logits(self, x: Any) -> Any:
        """The head's result; a tied one is given the embedding."""
        return self.head(x, self.token_embedding.embeddings.value) if self.spec.tied_head else self.head(x)

    def pool(self, x: Any, tokens: Any) -> Any:
        """One vector for a sequence, (batch, channels)."""
        return self.pooler(x) if self.spec.head == "pooler" else self.pooler(x, tokens)

    def start(self, batch: int) -> Cache:
        """The cache of a decoder that has seen nothing yet."""
        if not self.spec.generates:
            raise refused(NO_DECODER)
        like, attention = self.token_embedding.embeddings, self.spec.attention()
        return Cache.empty(like, batch, [KeyValues.empty(like, batch, *attention.kept) for _ in self.blocks])

    def decode(self, tokens: Any, cache: Cache) -> Any:
        """The logits after the last of these tokens, which follow those in the cache and are kept there as well."""
        everything, start = cache.extended(tokens)
        x, mask = self.embed(tokens, start=start), self.mask(everything, start=start)
        for block, kept in zip(self.blocks, cache.layers, strict=True):
            x = block(x, mask, cache=kept)
        return self.logits(self.norm(x[:, -1:]))  # (batch, 1, channels)


class AttentionMask(layers.Layer):
    def __init__(self, causal: bool, pad_token_id: int | None) -> None:
        super().__init__()
        self.causal, self.pad_token_id = causal, pad_token_id

    def call(self, tokens: Any, start: Any = 0) -> Any:
        batch, time = ops.shape(tokens)
        mask = ops.ones((batch, 1, time - start, time), dtype="bool")  # True: attend
        if self.causal:
            mask = mask & (ops.arange(time) <= ops.arange(start, time)[:, None])
        if self.pad_token_id is not None:
            mask = mask & ops.not_equal(tokens, self.pad_token_id)[:, None, None, :]
        return mask  # (batch, heads, queries, keys)


class TransformerBlock(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pre_norm, self.rotary = spec.norm == "pre", spec.positions == "rotary"
        self.attention = (GroupedQueryAttention if self.rotary else MultiHeadAttention)(spec.attention())
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm1 = norm(spec)
        self.feed_forward = feed_forward(spec)
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm2 = norm(spec)

    def call(self, x: Any, attention_mask: Any = None, cache: KeyValues | None = None, training: bool = False) -> Any:
        if self.pre_norm:
            attended = self.attend(self.norm1(x), attention_mask, cache, training)
            x = x + self.dropout1(attended, training=training)
            return x + self.dropout2(self.feed_forward(self.norm2(x), training=training), training=training)
        attended = self.attend(x, attention_mask, cache, training)
        x = self.norm1(x + self.dropout1(attended, training=training))
        return self.norm2(x + self.dropout2(self.feed_forward(x, training=training), training=training))

    def attend(self, x: Any, attention_mask: Any = None, cache: KeyValues | None = None, training: bool = False) -> Any:
        """Self-attention."""
        if self.rotary:
            return self.attention(x, attention_mask, cache=cache, training=training)
        return self.attention(x, x, x, attention_mask, cache=cache, training=training)


class TiedHead(layers.Layer):
    def __init__(self, vocab_size: int, bias: bool) -> None:
        super().__init__()
        self.bias = self.add_weight(name="bias", shape=(vocab_size,)) if bias else None

    def call(self, x: Any, table: Any) -> Any:
        logits = ops.matmul(x, ops.transpose(table))
        return logits if self.bias is None else logits + self.bias


class Pooler(layers.Dense):
    def call(self, x: Any, training: bool = False) -> Any:
        return ops.tanh(super().call(x[:, 0]))  # (batch, time, channels) -> (batch, channels)


class MeanPooler(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pad_token_id, self.unit = spec.pad_token_id, spec.head == "unit_mean"

    def call(self, x: Any, tokens: Any) -> Any:
        kept = ops.ones_like(tokens) if self.pad_token_id is None else ops.not_equal(tokens, self.pad_token_id)
        kept = ops.cast(kept, x.dtype)[..., None]  # (batch, time, 1)
        mean = ops.sum(x * kept, axis=1) / ops.maximum(ops.sum(kept, axis=1), 1)  # (batch, channels)
        if not self.unit:
            return mean
        square = ops.sum(mean * mean, axis=-1, keepdims=True)
        return mean / ops.sqrt(ops.maximum(square, constant(SHORTEST**2, square)))


def positions(spec: Spec) -> layers.Layer | None:
    if spec.positions == "rotary":  # which turn queries and keys within the attention
        return None
    form = LearnedPositions if spec.positions == "learned" else SinusoidalPositions
    return form(spec.max_len, spec.d_model)


def norm(spec: Spec) -> layers.Layer:
    form = layers.RMSNormalization if spec.norm_type == "rms" else layers.LayerNormalization
    return form(epsilon=spec.norm_epsilon)


def feed_forward(spec: Spec) -> FeedForward:
    return FeedForward(spec.d_model, spec.d_ff, spec.feed_forward, spec.activation, spec.bias, spec.dropout_rate)


def head(spec: Spec) -> layers.Layer | None:
    if spec.head != "logits":
        return None
    if spec.tied_head:
        return TiedHead(spec.vocab_size, spec.head_bias)
    return layers.Dense(spec.vocab_size, use_bias=spec.head_bias)


def pooler(spec: Spec) -> layers.Layer | None:
    if spec.head in ("logits", "none"):
        return None
    return Pooler(spec.d_model) if spec.head == "pooler" else MeanPooler(spec)


def build(spec: Spec) -> TransformerLM:
    return TransformerLM(spec)
