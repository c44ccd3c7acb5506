"""Additive attention. See core/architectures/additive_attention.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.additive_attention import AdditiveAttention as Spec
from ..attention import AttentionMap, as_padding


class AdditiveAttention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.query = nn.Linear(spec.query_size, spec.units, bias=False)
        self.key = nn.Linear(spec.value_size, spec.units, bias=spec.bias)
        self.tanh = nn.Tanh()
        self.score = nn.Linear(spec.units, 1, bias=False)
        self.map = AttentionMap()

    def forward(
        self, query: torch.Tensor, values: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        queries = self.query(query)[:, :, None]  # (batch, queries, 1, channels)
        keys = self.key(values)[:, None]  # (batch, 1, keys, channels)
        scores = self.score(self.tanh(queries + keys))[..., 0]  # (batch, queries, keys)
        attended = None if attention_mask is None else as_padding(attention_mask, values)[:, None]  # (batch, 1, keys)
        weights = self.map(scores, attended)
        context = weights @ values  # (batch, queries, channels)
        return (context, weights) if self.spec.need_weights else context


def build(spec: Spec) -> AdditiveAttention:
    return AdditiveAttention(spec)
