"""Linear attention. See core/architectures/linear_attention.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.linear_attention import LinearAttention as Spec
from ..attention import as_padding, join_heads, split_heads


class Memory:
    """The sums over the positions so far: S, (batch, heads, key channels, value channels), and z, without the last."""

    def __init__(self, s: torch.Tensor, z: torch.Tensor) -> None:
        self.s, self.z = s, z

    def tensors(self) -> list[torch.Tensor]:
        return [self.s, self.z]

    def load(self, tensors: list[torch.Tensor]) -> None:
        self.s, self.z = tensors


class LinearAttention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.query = nn.Linear(spec.d_model, spec.d_model, bias=spec.bias)
        self.key = nn.Linear(spec.d_model, spec.d_model, bias=spec.bias)
        self.value = nn.Linear(spec.d_model, spec.d_model, bias=spec.bias)
        self.feature_map = FeatureMap()
        self.sums = Sums(spec)
        self.projection = nn.Linear(spec.d_model, spec.d_model, bias=spec.bias)

    def forward(
        self, x: torch.Tensor, attention_mask: torch.Tensor | None = None, cache: Memory | None = None
    ) -> torch.Tensor:
        query = self.feature_map(split_heads(self.query(x), self.spec.num_heads))
        key = self.feature_map(split_heads(self.key(x), self.spec.num_heads))
        value = split_heads(self.value(x), self.spec.num_heads)
        return self.projection(join_heads(self.sums(query, key, value, attention_mask, cache=cache)))

    def start(self, batch: int) -> Memory:
        """The memory before the first position."""
        heads, channels = self.spec.num_heads, self.spec.d_model // self.spec.num_heads
        s = self.query.weight.new_zeros(batch, heads, channels, channels)
        return Memory(s, s[..., 0])


class FeatureMap(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) + torch.exp(x.clamp(max=0))


class Sums(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.causal, self.epsilon, self.chunk_size = spec.causal, spec.epsilon, spec.chunk_size

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        cache: Memory | None = None,
    ) -> torch.Tensor:
        if attention_mask is not None:
            key = key.masked_fill(~as_padding(attention_mask, key)[:, None, :, None], 0.0)
        if self.causal:
            return self.running(query, key, value, cache)
        s, z = key.transpose(-2, -1) @ value, key.sum(dim=-2)  # (batch, heads, channels, channels) and without the last
        return query @ s / (query @ z[..., None] + self.epsilon)

    def running(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cache: Memory | None
    ) -> torch.Tensor:
        time = query.shape[2]
        query, key, value = (self.chunked(x) for x in (query, key, value))
        s, z = key.transpose(-2, -1) @ value, key.sum(dim=-2)  # of each chunk: (batch, heads, chunks, channels, ...)
        s, z = self.before(s, None if cache is None else cache.s), self.before(z, None if cache is None else cache.z)
        if cache is not None:
            cache.s, cache.z = s[:, :, -1], z[:, :, -1]
        within = (query @ key.transpose(-2, -1)).tril()  # (batch, heads, chunks, queries, keys)
        numerator = within @ value + query @ s[:, :, :-1]
        denominator = within.sum(dim=-1, keepdim=True) + query @ z[:, :, :-1, :, None]
        return (numerator / (denominator + self.epsilon)).flatten(2, 3)[:, :, :time]  # (batch, heads, time, channels)

    def chunked(self, x: torch.Tensor) -> torch.Tensor:
        """Zeros at the end fill the last chunk; as keys they add nothing."""
        time = x.shape[2]
        size = min(self.chunk_size, time)
        return F.pad(x, (0, 0, 0, -time % size)).unflatten(2, (-1, size))  # (batch, heads, chunks, chunk, channels)

    def before(self, x: torch.Tensor, start: torch.Tensor | None) -> torch.Tensor:
        """The sums before each chunk, and that after the last."""
        first = torch.zeros_like(x[:, :, :1]) if start is None else start[:, :, None]
        return torch.cat([first, x], dim=2).cumsum(dim=2)


def build(spec: Spec) -> LinearAttention:
    return LinearAttention(spec)
