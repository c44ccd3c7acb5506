"""The Transformer as a language model. See core/architectures/transformer_lm.py."""

from __future__ import annotations

import math

import torch
from torch import nn

from ...core.architectures.transformer_lm import MASKED_SCORE
from ...core.architectures.transformer_lm import TransformerLM as Spec
from ...core.techniques.dropout import Dropout
from ..techniques import dropout


class TransformerLM(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.scale = math.sqrt(spec.d_model) if spec.scale_embedding else 1.0
        self.token_embedding = nn.Embedding(spec.vocab_size, spec.d_model)
        self.positions = LearnedPositions(spec) if spec.positions == "learned" else SinusoidalPositions(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.mask = AttentionMask(spec) if spec.is_masked else None
        self.blocks = nn.ModuleList([TransformerBlock(spec) for _ in range(spec.num_layers)])
        self.norm = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon) if spec.norm == "pre" else nn.Identity()
        self.head = nn.Linear(spec.d_model, spec.vocab_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.token_embedding(tokens) * self.scale  # (batch, time) -> (batch, time, channels)
        x = self.dropout(self.positions(x))
        mask = None if self.mask is None else self.mask(tokens)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


class LearnedPositions(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(spec.max_len, spec.d_model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.vectors[: x.shape[1]]


class SinusoidalPositions(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        time = torch.arange(spec.max_len, dtype=torch.float64)
        frequency = 10000.0 ** (-torch.arange(0, spec.d_model, 2, dtype=torch.float64) / spec.d_model)
        angles = torch.outer(time, frequency)  # (time, pairs)
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (time, pairs, 2)
        self.register_buffer("waves", waves.flatten(1), persistent=False)  # (time, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.waves[: x.shape[1]].to(x.dtype)


class AttentionMask(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.causal, self.pad_token_id = spec.causal, spec.pad_token_id

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, time = tokens.shape
        mask = torch.ones(batch, 1, time, time, dtype=torch.bool, device=tokens.device)  # True: attend
        if self.causal:
            mask = mask.tril()
        if self.pad_token_id is not None:
            mask = mask & (tokens != self.pad_token_id)[:, None, None, :]
        return mask  # (batch, heads, queries, keys)


class TransformerBlock(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pre_norm = spec.norm == "pre"
        self.attention = MultiHeadAttention(spec)
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm1 = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon)
        self.feed_forward = FeedForward(spec)
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm2 = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon)

    def forward(self, x: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        if self.pre_norm:
            x = x + self.dropout1(self.attention(self.norm1(x), attention_mask))
            return x + self.dropout2(self.feed_forward(self.norm2(x)))
        x = self.norm1(x + self.dropout1(self.attention(x, attention_mask)))
        return self.norm2(x + self.dropout2(self.feed_forward(x)))


class MultiHeadAttention(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.num_heads = spec.num_heads
        self.query = nn.Linear(spec.d_model, spec.d_model)
        self.key = nn.Linear(spec.d_model, spec.d_model)
        self.value = nn.Linear(spec.d_model, spec.d_model)
        self.map = AttentionMap()
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.projection = nn.Linear(spec.d_model, spec.d_model)

    def forward(self, x: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        query = self.split_heads(self.query(x))
        key = self.split_heads(self.key(x))
        value = self.split_heads(self.value(x))
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (batch, heads, queries, keys)
        weights = self.dropout(self.map(scores, attention_mask))
        return self.projection(self.join_heads(weights @ value))

    def split_heads(self, x: torch.Tensor) -> torch.Tensor:
        batch, time, _ = x.shape
        return x.view(batch, time, self.num_heads, -1).transpose(1, 2)  # (batch, heads, time, channels)

    def join_heads(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, time, _ = x.shape
        return x.transpose(1, 2).reshape(batch, time, -1)  # (batch, time, channels)


class AttentionMap(nn.Module):
    def forward(self, scores: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        if attention_mask is None:
            return torch.softmax(scores, dim=-1)
        weights = torch.softmax(scores.masked_fill(~attention_mask, MASKED_SCORE), dim=-1)
        return weights.masked_fill(~attention_mask, 0.0)


class FeedForward(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.expand = nn.Linear(spec.d_model, spec.d_ff)
        self.activation = activation(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.contract = nn.Linear(spec.d_ff, spec.d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.contract(self.dropout(self.activation(self.expand(x))))


def activation(spec: Spec) -> nn.Module:
    return {
        "relu": nn.ReLU(),
        "gelu": nn.GELU(approximate="none"),
        "gelu_tanh": nn.GELU(approximate="tanh"),
    }[spec.activation]


def build(spec: Spec) -> TransformerLM:
    return TransformerLM(spec)
