"""The Transformer as one stack of blocks. See core/architectures/transformer_lm.py."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.transformer_lm import NO_DECODER, NO_TOKEN_TYPES
from ...core.architectures.transformer_lm import TransformerLM as Spec
from ...core.errors import InputError
from ...core.techniques.dropout import Dropout
from ...core.transformer_parts import SHORTEST
from ..cache import Cache, KeyValues
from ..embedding import Embedding, LearnedPositions, SinusoidalPositions
from ..feed_forward import FeedForward
from ..techniques import dropout
from .grouped_query_attention import GroupedQueryAttention
from .multi_head_attention import MultiHeadAttention


class TransformerLM(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.scale = math.sqrt(spec.d_model) if spec.scale_embedding else 1.0
        self.token_embedding = Embedding(spec.vocab_size, spec.d_model)
        self.token_type_embedding = Embedding(spec.num_token_types, spec.d_model) if spec.num_token_types else None
        self.positions = positions(spec)
        self.embedding_norm = norm(spec) if spec.embedding_norm else nn.Identity()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.mask = AttentionMask(spec.causal, spec.pad_token_id) if spec.is_masked else None
        self.blocks = nn.ModuleList([TransformerBlock(spec) for _ in range(spec.num_layers)])
        self.norm = norm(spec) if spec.norm == "pre" else nn.Identity()
        self.head = head(spec)
        self.pooler = pooler(spec)

    def forward(
        self, tokens: torch.Tensor, token_types: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        x = self.embed(tokens, token_types)
        mask = None if self.mask is None else self.mask(tokens)
        states = [x]
        for block in self.blocks:
            states.append(block(states[-1], mask))
        states[-1] = self.norm(states[-1])
        if self.head is not None:
            results = (self.logits(states[-1]),)
        elif self.pooler is not None:
            results = states[-1], self.pool(states[-1], tokens)
        else:
            results = (states[-1],)
        results = (*results, *states) if self.spec.hidden_states else results
        return results if len(results) > 1 else results[0]

    def embed(self, tokens: torch.Tensor, token_types: torch.Tensor | None = None, start: int = 0) -> torch.Tensor:
        """What the first block is given; the first token is at position `start`."""
        x = self.token_embedding(tokens) * self.scale  # (batch, time) -> (batch, time, channels)
        if self.token_type_embedding is not None:
            if token_types is None:
                raise InputError(NO_TOKEN_TYPES)
            x = x + self.token_type_embedding(token_types)
        if self.positions is not None:
            x = self.positions(x, start=start)
        return self.dropout(self.embedding_norm(x))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """The head's result; a tied one is given the embedding."""
        return self.head(x, self.token_embedding.weight) if self.spec.tied_head else self.head(x)

    def pool(self, x: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """One vector for a sequence, (batch, channels)."""
        return self.pooler(x) if self.spec.head == "pooler" else self.pooler(x, tokens)

    def start(self, batch: int) -> Cache:
        """The cache of a decoder that has seen nothing yet."""
        if not self.spec.generates:
            raise InputError(NO_DECODER)
        like, attention = self.token_embedding.weight, self.spec.attention()
        return Cache.empty(like, batch, [KeyValues.empty(like, batch, *attention.kept) for _ in self.blocks])

    def decode(self, tokens: torch.Tensor, cache: Cache) -> torch.Tensor:
        """The logits after the last of these tokens, which follow those in the cache and are kept there as well."""
        everything, start = cache.extended(tokens)
        x, mask = self.embed(tokens, start=start), self.mask(everything, start=start)
        for block, kept in zip(self.blocks, cache.layers, strict=True):
            x = block(x, mask, cache=kept)
        return self.logits(self.norm(x[:, -1:]))  # (batch, 1, channels)


class AttentionMask(nn.Module):
    def __init__(self, causal: bool, pad_token_id: int | None) -> None:
        super().__init__()
        self.causal, self.pad_token_id = causal, pad_token_id

    def forward(self, tokens: torch.Tensor, start: int = 0) -> torch.Tensor:
        batch, time = tokens.shape
        mask = torch.ones(batch, 1, time - start, time, dtype=torch.bool, device=tokens.device)  # True: attend
        if self.causal:
            mask = mask.tril(start)
        if self.pad_token_id is not None:
            mask = mask & (tokens != self.pad_token_id)[:, None, None, :]
        return mask  # (batch, heads, queries, keys)


class TransformerBlock(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pre_norm, self.rotary = spec.norm == "pre", spec.positions == "rotary"
        self.attention = (GroupedQueryAttention if self.rotary else MultiHeadAttention)(spec.attention())
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm1 = norm(spec)
        self.feed_forward = feed_forward(spec)
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm2 = norm(spec)

    def forward(
        self, x: torch.Tensor, attention_mask: torch.Tensor | None = None, cache: KeyValues | None = None
    ) -> torch.Tensor:
        if self.pre_norm:
            x = x + self.dropout1(self.attend(self.norm1(x), attention_mask, cache))
            return x + self.dropout2(self.feed_forward(self.norm2(x)))
        x = self.norm1(x + self.dropout1(self.attend(x, attention_mask, cache)))
        return self.norm2(x + self.dropout2(self.feed_forward(x)))

    def attend(
        self, x: torch.Tensor, attention_mask: torch.Tensor | None = None, cache: KeyValues | None = None
    ) -> torch.Tensor:
        """Self-attention."""
        if self.rotary:
            return self.attention(x, attention_mask, cache=cache)
        return self.attention(x, x, x, attention_mask, cache=cache)


class TiedHead(nn.Module):
    def __init__(self, vocab_size: int, bias: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(vocab_size)) if bias else None

    def forward(self, x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return F.linear(x, table, self.bias)


class Pooler(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(super().forward(x[:, 0]))  # (batch, time, channels) -> (batch, channels)


class MeanPooler(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pad_token_id, self.unit = spec.pad_token_id, spec.head == "unit_mean"

    def forward(self, x: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        kept = torch.ones_like(tokens) if self.pad_token_id is None else tokens != self.pad_token_id
        kept = kept.to(x.dtype).unsqueeze(-1)  # (batch, time, 1)
        mean = (x * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)  # (batch, channels)
        return F.normalize(mean, dim=-1, eps=SHORTEST) if self.unit else mean


def positions(spec: Spec) -> nn.Module | None:
    if spec.positions == "rotary":  # which turn queries and keys within the attention
        return None
    form = LearnedPositions if spec.positions == "learned" else SinusoidalPositions
    return form(spec.max_len, spec.d_model)


def norm(spec: Spec) -> nn.Module:
    form = nn.RMSNorm if spec.norm_type == "rms" else nn.LayerNorm
    return form(spec.d_model, eps=spec.norm_epsilon)


def feed_forward(spec: Spec) -> FeedForward:
    return FeedForward(spec.d_model, spec.d_ff, spec.feed_forward, spec.activation, spec.bias, spec.dropout_rate)


def head(spec: Spec) -> nn.Module | None:
    if spec.head != "logits":
        return None
    if spec.tied_head:
        return TiedHead(spec.vocab_size, spec.head_bias)
    return nn.Linear(spec.d_model, spec.vocab_size, bias=spec.head_bias)


def pooler(spec: Spec) -> nn.Module | None:
    if spec.head in ("logits", "none"):
        return None
    return Pooler(spec.d_model, spec.d_model) if spec.head == "pooler" else MeanPooler(spec)


def build(spec: Spec) -> TransformerLM:
    return TransformerLM(spec)
