"""Multi-head attention. See core/architectures/multi_head_attention.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.multi_head_attention import MultiHeadAttention as Spec
from ...core.techniques.dropout import Dropout
from ..attention import AttentionMap, as_mask, attend, join_heads, split_heads
from ..cache import KeyValues
from ..techniques import dropout


class MultiHeadAttention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.num_heads, self.need_weights = spec.num_heads, spec.need_weights
        self.query = nn.Linear(*spec.widths["query"], bias=spec.bias)
        self.key = nn.Linear(*spec.widths["key"], bias=spec.bias)
        self.value = nn.Linear(*spec.widths["value"], bias=spec.bias)
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.projection = nn.Linear(spec.widths["value"][1], spec.d_model, bias=spec.bias)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor | None,
        value: torch.Tensor | None,
        attention_mask: torch.Tensor | None = None,
        cache: KeyValues | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        query = split_heads(self.query(query), self.num_heads)
        if key is None:  # those of a memory, which is the same at every step
            key, value = cache.key, cache.value
        else:
            key, value = self.key_values(key, value)
            if cache is not None:
                key, value = cache.extended(key, value)
        mask = as_mask(attention_mask, query, key, self.spec.mask)
        attended, weights = attend(query, key, value, mask, self.map, self.dropout, self.need_weights)
        attended = self.projection(join_heads(attended))
        return (attended, weights) if self.need_weights else attended

    def key_values(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of every head, (batch, heads, keys, channels)."""
        return split_heads(self.key(key), self.num_heads), split_heads(self.value(value), self.num_heads)


def build(spec: Spec) -> MultiHeadAttention:
    return MultiHeadAttention(spec)
