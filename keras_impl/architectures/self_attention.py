"""Self-attention with one head. See core/architectures/self_attention.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from ...core.architectures.self_attention import SelfAttention as Spec
from ...core.techniques.dropout import Dropout
from ..attention import AttentionMap, attend
from ..model import SpecModel
from ..techniques import dropout


@keras.saving.register_keras_serializable("diglot")
class SelfAttention(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.causal, self.need_weights = spec.causal, spec.need_weights
        self.query = layers.Dense(spec.key_size, use_bias=spec.bias)
        self.key = layers.Dense(spec.key_size, use_bias=spec.bias)
        self.value = layers.Dense(spec.value_size, use_bias=spec.bias)
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))

    def call(self, x: Any, training: bool = False) -> Any:
        query, key, value = self.query(x), self.key(x), self.value(x)
        mask = self.look_ahead(x) if self.causal else None
        attended, weights = attend(query, key, value, mask, self.map, self.dropout, self.need_weights, training)
        return (attended, weights) if self.need_weights else attended

    def look_ahead(self, x: Any) -> Any:
        """The mask under which no position sees a later one, (batch, queries, keys)."""
        batch, time, _ = ops.shape(x)
        return ops.tril(ops.ones((batch, time, time), dtype="bool"))  # True: attend


def build(spec: Spec) -> SelfAttention:
    return SelfAttention(spec)
