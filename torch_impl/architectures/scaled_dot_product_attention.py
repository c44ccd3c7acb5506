"""Scaled dot-product attention. See core/architectures/scaled_dot_product_attention.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.scaled_dot_product_attention import ScaledDotProductAttention as Spec
from ...core.techniques.dropout import Dropout
from ..attention import AttentionMap, as_mask, attend
from ..techniques import dropout


class ScaledDotProductAttention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.need_weights = spec.need_weights
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        mask = as_mask(attention_mask, query, key, self.spec.mask)
        attended, weights = attend(query, key, value, mask, self.map, self.dropout, self.need_weights)
        return (attended, weights) if self.need_weights else attended


def build(spec: Spec) -> ScaledDotProductAttention:
    return ScaledDotProductAttention(spec)
