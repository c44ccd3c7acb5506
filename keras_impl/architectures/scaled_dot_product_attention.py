"""Scaled dot-product attention. See core/architectures/scaled_dot_product_attention.py."""

from __future__ import annotations

from typing import Any

import keras

from ...core.architectures.scaled_dot_product_attention import ScaledDotProductAttention as Spec
from ...core.techniques.dropout import Dropout
from ..attention import AttentionMap, as_mask, attend
from ..model import SpecModel
from ..techniques import dropout


@keras.saving.register_keras_serializable("diglot")
class ScaledDotProductAttention(SpecModel):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.need_weights = spec.need_weights
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))

    def call(self, query: Any, key: Any, value: Any, attention_mask: Any = None, training: bool = False) -> Any:
        mask = as_mask(attention_mask, query, key, self.spec.mask)
        attended, weights = attend(query, key, value, mask, self.map, self.dropout, self.need_weights, training)
        return (attended, weights) if self.need_weights else attended


def build(spec: Spec) -> ScaledDotProductAttention:
    return ScaledDotProductAttention(spec)
