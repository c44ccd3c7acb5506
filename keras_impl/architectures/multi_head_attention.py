"""Multi-head attention. See core/architectures/multi_head_attention.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from ...core.architectures.multi_head_attention import MultiHeadAttention as Spec
from ...core.techniques.dropout import Dropout
from ..attention import AttentionMap, as_mask, attend, join_heads, split_heads
from ..cache import KeyValues
from ..model import SpecModel
from ..techniques import dropout


@keras.saving.register_keras_serializable("diglot")
class MultiHeadAttention(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.num_heads, self.need_weights = spec.num_heads, spec.need_weights
        self.query = layers.Dense(spec.widths["query"][1], use_bias=spec.bias)
        self.key = layers.Dense(spec.widths["key"][1], use_bias=spec.bias)
        self.value = layers.Dense(spec.widths["value"][1], use_bias=spec.bias)
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.projection = layers.Dense(spec.d_model, use_bias=spec.bias)

    def call(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        cache: KeyValues | None = None,
        training: bool = False,
    ) -> Any:
        query = split_heads(self.query(query), self.num_heads)
        if key is None:  # those of a memory, which is the same at every step
            key, value = cache.key, cache.value
        else:
            key, value = self.key_values(key, value)
            if cache is not None:
                key, value = cache.extended(key, value)
        mask = as_mask(attention_mask, query, key, self.spec.mask)
        attended, weights = attend(query, key, value, mask, self.map, self.dropout, self.need_weights, training)
        attended = self.projection(join_heads(attended))
        return (attended, weights) if self.need_weights else attended

    def key_values(self, key: Any, value: Any) -> tuple[Any, Any]:
        """Keys and values of every head, (batch, heads, keys, channels)."""
        return split_heads(self.key(key), self.num_heads), split_heads(self.value(value), self.num_heads)


def build(spec: Spec) -> MultiHeadAttention:
    return MultiHeadAttention(spec)
