"""Grouped-query attention with rotary positions. See core/architectures/grouped_query_attention.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.grouped_query_attention import GroupedQueryAttention as Spec
from ...core.techniques.dropout import Dropout
from ..attention import AttentionMap, as_mask, attend, join_heads, split_heads
from ..cache import KeyValues
from ..embedding import RotaryPositions
from ..model import SpecModel
from ..techniques import dropout


@keras.saving.register_keras_serializable("diglot")
class GroupedQueryAttention(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.num_heads, self.groups = spec.num_heads, spec.groups
        self.query = layers.Dense(spec.num_heads * spec.size, use_bias=spec.bias)
        self.key = layers.Dense(spec.groups * spec.size, use_bias=spec.bias)
        self.value = layers.Dense(spec.groups * spec.size, use_bias=spec.bias)
        self.rotary = RotaryPositions(spec.max_len, spec.size, spec.rotary_base, spec.rotary_pairs)
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.projection = layers.Dense(spec.d_model, use_bias=spec.bias)

    def call(self, x: Any, attention_mask: Any = None, cache: KeyValues | None = None, training: bool = False) -> Any:
        start = 0 if cache is None else ops.shape(cache.key)[2]
        query = self.rotary(split_heads(self.query(x), self.num_heads), start=start)
        key = self.rotary(split_heads(self.key(x), self.groups), start=start)
        value = split_heads(self.value(x), self.groups)
        if cache is not None:
            key, value = cache.extended(key, value)
        shared = self.num_heads // self.groups
        key, value = (ops.repeat(given, shared, axis=1) for given in (key, value))
        mask = as_mask(attention_mask, query, key, self.spec.mask)
        attended, _ = attend(query, key, value, mask, self.map, self.dropout, training=training)
        return self.projection(join_heads(attended))


def build(spec: Spec) -> GroupedQueryAttention:
    return GroupedQueryAttention(spec)
