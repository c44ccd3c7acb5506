"""Linear attention. See core/architectures/linear_attention.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.linear_attention import LinearAttention as Spec
from ..attention import as_padding, join_heads, split_heads
from ..exact import constant
from ..model import SpecModel


class Memory:
    """The sums over the positions so far: S, (batch, heads, key channels, value channels), and z, without the last."""

    def __init__(self, s: Any, z: Any) -> None:
        self.s, self.z = s, z

    def tensors(self) -> list[Any]:
        return [self.s, self.z]

    def load(self, tensors: list[Any]) -> None:
        self.s, self.z = tensors


@keras.saving.register_keras_serializable("diglot")
class LinearAttention(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.query = layers.Dense(spec.d_model, use_bias=spec.bias)
        self.key = layers.Dense(spec.d_model, use_bias=spec.bias)
        self.value = layers.Dense(spec.d_model, use_bias=spec.bias)
        self.feature_map = FeatureMap()
        self.sums = Sums(spec)
        self.projection = layers.Dense(spec.d_model, use_bias=spec.bias)

    def call(self, x: Any, attention_mask: Any = None, cache: Memory | None = None, training: bool = False) -> Any:
        query = self.feature_map(split_heads(self.query(x), self.spec.num_heads))
        key = self.feature_map(split_heads(self.key(x), self.spec.num_heads))
        value = split_heads(self.value(x), self.spec.num_heads)
        return self.projection(join_heads(self.sums(query, key, value, attention_mask, cache=cache)))

    def start(self, batch: int) -> Memory:
        """The memory before the first position."""
        heads, channels = self.spec.num_heads, self.spec.d_model // self.spec.num_heads
        s = ops.zeros((batch, heads, channels, channels), dtype=self.compute_dtype)
        return Memory(s, s[..., 0])


class FeatureMap(layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.relu(x) + ops.exp(ops.minimum(x, constant(0.0, x)))


class Sums(layers.Layer):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.causal, self.epsilon, self.chunk_size = spec.causal, spec.epsilon, spec.chunk_size

    def call(self, query: Any, key: Any, value: Any, attention_mask: Any = None, cache: Memory | None = None) -> Any:
        if attention_mask is not None:
            key = ops.where(as_padding(attention_mask, key)[:, None, :, None], key, constant(0.0, key))
        if self.causal:
            return self.running(query, key, value, cache)
        s, z = ops.swapaxes(key, -2, -1) @ value, ops.sum(key, axis=-2)  # (batch, heads, channels, channels) and ...
        return query @ s / (query @ z[..., None] + constant(self.epsilon, query))

    def running(self, query: Any, key: Any, value: Any, cache: Memory | None) -> Any:
        time = ops.shape(query)[2]
        query, key, value = (self.chunked(x) for x in (query, key, value))
        s, z = ops.swapaxes(key, -2, -1) @ value, ops.sum(key, axis=-2)  # of each chunk
        s, z = self.before(s, None if cache is None else cache.s), self.before(z, None if cache is None else cache.z)
        if cache is not None:
            cache.s, cache.z = s[:, :, -1], z[:, :, -1]
        within = ops.tril(query @ ops.swapaxes(key, -2, -1))  # (batch, heads, chunks, queries, keys)
        numerator = within @ value + query @ s[:, :, :-1]
        denominator = ops.sum(within, axis=-1, keepdims=True) + query @ z[:, :, :-1, :, None]
        result = numerator / (denominator + constant(self.epsilon, query))
        batch, heads, chunks, size, channels = ops.shape(result)
        return ops.reshape(result, (batch, heads, chunks * size, channels))[:, :, :time]

    def chunked(self, x: Any) -> Any:
        """Zeros at the end fill the last chunk; as keys they add nothing."""
        batch, heads, time, channels = ops.shape(x)
        size = min(self.chunk_size, time) if isinstance(time, int) else ops.minimum(self.chunk_size, time)
        x = ops.pad(x, ((0, 0), (0, 0), (0, -time % size), (0, 0)))
        return ops.reshape(x, (batch, heads, -1, size, channels))  # (batch, heads, chunks, chunk, channels)

    def before(self, x: Any, start: Any) -> Any:
        """The sums before each chunk, and that after the last."""
        first = ops.zeros_like(x[:, :, :1]) if start is None else start[:, :, None]
        return ops.cumsum(ops.concatenate([first, x], axis=2), axis=2)


def build(spec: Spec) -> LinearAttention:
    return LinearAttention(spec)
