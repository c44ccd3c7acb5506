"""Grouped-query attention with rotary positions. See core/architectures/grouped_query_attention.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.grouped_query_attention import GroupedQueryAttention as Spec
from ...core.techniques.dropout import Dropout
from ..attention import AttentionMap, as_mask, attend, join_heads, split_heads
from ..cache import KeyValues
from ..embedding import RotaryPositions
from ..techniques import dropout


class GroupedQueryAttention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.num_heads, self.groups = spec.num_heads, spec.groups
        self.query = nn.Linear(spec.d_model, spec.num_heads * spec.size, bias=spec.bias)
        self.key = nn.Linear(spec.d_model, spec.groups * spec.size, bias=spec.bias)
        self.value = nn.Linear(spec.d_model, spec.groups * spec.size, bias=spec.bias)
        self.rotary = RotaryPositions(spec.max_len, spec.size, spec.rotary_base, spec.rotary_pairs)
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.projection = nn.Linear(spec.num_heads * spec.size, spec.d_model, bias=spec.bias)

    def forward(
        self, x: torch.Tensor, attention_mask: torch.Tensor | None = None, cache: KeyValues | None = None
    ) -> torch.Tensor:
        start = 0 if cache is None else cache.key.shape[2]
        query = self.rotary(split_heads(self.query(x), self.num_heads), start=start)
        key = self.rotary(split_heads(self.key(x), self.groups), start=start)
        value = split_heads(self.value(x), self.groups)
        if cache is not None:
            key, value = cache.extended(key, value)
        shared = self.num_heads // self.groups
        key, value = (given.repeat_interleave(shared, dim=1) for given in (key, value))
        mask = as_mask(attention_mask, query, key, self.spec.mask)
        attended, _ = attend(query, key, value, mask, self.map, self.dropout)
        return self.projection(join_heads(attended))


def build(spec: Spec) -> GroupedQueryAttention:
    return GroupedQueryAttention(spec)
