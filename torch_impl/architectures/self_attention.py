"""Self-attention with one head. See core/architectures/self_attention.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.self_attention import SelfAttention as Spec
from ...core.techniques.dropout import Dropout
from ..attention import AttentionMap, attend
from ..techniques import dropout


class SelfAttention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.causal, self.need_weights = spec.causal, spec.need_weights
        self.query = nn.Linear(spec.d_model, spec.key_size, bias=spec.bias)
        self.key = nn.Linear(spec.d_model, spec.key_size, bias=spec.bias)
        self.value = nn.Linear(spec.d_model, spec.value_size, bias=spec.bias)
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        query, key, value = self.query(x), self.key(x), self.value(x)
        mask = self.look_ahead(x) if self.causal else None
        attended, weights = attend(query, key, value, mask, self.map, self.dropout, self.need_weights)
        return (attended, weights) if self.need_weights else attended

    def look_ahead(self, x: torch.Tensor) -> torch.Tensor:
        """The mask under which no position sees a later one, (batch, queries, keys)."""
        batch, time, _ = x.shape
        return torch.ones(batch, time, time, dtype=torch.bool, device=x.device).tril()  # True: attend


def build(spec: Spec) -> SelfAttention:
    return SelfAttention(spec)
