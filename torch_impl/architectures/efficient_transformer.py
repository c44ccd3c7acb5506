"""A Transformer of linear attention and gated linear units. See core/architectures/efficient_transformer.py."""

from __future__ import annotations

import math

import torch
from torch import nn

from ...core.architectures.efficient_transformer import EfficientTransformer as Spec
from ...core.techniques.dropout import Dropout
from ..cache import Cache
from ..embedding import Embedding, LearnedPositions, SinusoidalPositions
from ..feed_forward import FeedForward
from ..techniques import dropout
from .linear_attention import LinearAttention, Memory


class RecurrentCache(Cache):
    """A cache that does not grow: `tokens` holds how many there were, (batch, 1), and not which."""

    def extended(self, tokens: torch.Tensor) -> tuple[torch.Tensor, int]:
        """The new tokens alone, and the position of the first of them."""
        start = int(self.tokens[0, 0])
        self.tokens = self.tokens + tokens.shape[1]
        return tokens, start


class EfficientTransformer(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.scale = math.sqrt(spec.d_model) if spec.scale_embedding else 1.0
        self.token_embedding = Embedding(spec.vocab_size, spec.d_model)
        form = LearnedPositions if spec.positions == "learned" else SinusoidalPositions
        self.positions = form(spec.max_len, spec.d_model)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.mask = PaddingMask(spec.pad_token_id) if spec.pad_token_id is not None else None
        self.blocks = nn.ModuleList([EfficientBlock(spec) for _ in range(spec.num_layers)])
        self.norm = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon) if spec.norm == "pre" else nn.Identity()
        self.head = nn.Linear(spec.d_model, spec.vocab_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.dropout(self.embed(tokens))
        mask = None if self.mask is None else self.mask(tokens)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))

    def embed(self, tokens: torch.Tensor, start: int = 0) -> torch.Tensor:
        """The tokens as vectors, with their positions; the first is at `start`."""
        x = self.token_embedding(tokens) * self.scale  # (batch, time) -> (batch, time, channels)
        return self.positions(x, start=start)

    def start(self, batch: int) -> Cache:
        """The cache of a decoder that has seen nothing yet."""
        count = torch.zeros(batch, 1, dtype=torch.long, device=self.head.weight.device)
        return RecurrentCache(count, [block.attention.start(batch) for block in self.blocks])

    def decode(self, tokens: torch.Tensor, cache: Cache) -> torch.Tensor:
        """The logits after the last of these tokens, which follow those that the cache has seen and are added to it."""
        tokens, start = cache.extended(tokens)
        x = self.dropout(self.embed(tokens, start=start))
        mask = None if self.mask is None else self.mask(tokens)
        for block, kept in zip(self.blocks, cache.layers, strict=True):
            x = block(x, mask, cache=kept)
        return self.head(self.norm(x[:, -1:]))  # (batch, 1, channels)


class PaddingMask(nn.Module):
    def __init__(self, pad_token_id: int) -> None:
        super().__init__()
        self.pad_token_id = pad_token_id

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens != self.pad_token_id  # True: attend


class EfficientBlock(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pre_norm = spec.norm == "pre"
        self.attention = LinearAttention(spec.attention())
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm1 = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon)
        self.feed_forward = FeedForward(spec.d_model, spec.d_ff, spec.feed_forward, "", spec.bias, spec.dropout_rate)
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm2 = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon)

    def forward(
        self, x: torch.Tensor, attention_mask: torch.Tensor | None = None, cache: Memory | None = None
    ) -> torch.Tensor:
        if self.pre_norm:
            x = x + self.dropout1(self.attention(self.norm1(x), attention_mask, cache=cache))
            return x + self.dropout2(self.feed_forward(self.norm2(x)))
        x = self.norm1(x + self.dropout1(self.attention(x, attention_mask, cache=cache)))
        return self.norm2(x + self.dropout2(self.feed_forward(x)))


def build(spec: Spec) -> EfficientTransformer:
    return EfficientTransformer(spec)
