"""Additive attention. See core/architectures/additive_attention.py."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from ...core.architectures.additive_attention import AdditiveAttention as Spec
from ..attention import AttentionMap, as_padding
from ..model import SpecModel


@keras.saving.register_keras_serializable("diglot")
class AdditiveAttention(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.query = layers.Dense(spec.units, use_bias=False)
        self.key = layers.Dense(spec.units, use_bias=spec.bias)
        self.tanh = layers.Activation("tanh")
        self.score = layers.Dense(1, use_bias=False)
        self.map = AttentionMap()

    def call(self, query: Any, values: Any, attention_mask: Any = None, training: bool = False) -> Any:
        queries = self.query(query)[:, :, None]  # (batch, queries, 1, channels)
        keys = self.key(values)[:, None]  # (batch, 1, keys, channels)
        scores = self.score(self.tanh(queries + keys))[..., 0]  # (batch, queries, keys)
        attended = None if attention_mask is None else as_padding(attention_mask, values)[:, None]  # (batch, 1, keys)
        weights = self.map(scores, attended)
        context = weights @ values  # (batch, queries, channels)
        return (context, weights) if self.spec.need_weights else context


def build(spec: Spec) -> AdditiveAttention:
    return AdditiveAttention(spec)
