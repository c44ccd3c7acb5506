"""The Transformer. See core/architectures/transformer.py."""

from __future__ import annotations

import math

import torch
from torch import nn

from ...core.architectures.transformer import Transformer as Spec
from ...core.techniques.dropout import Dropout
from ..cache import Cache, KeyValues
from ..embedding import Embedding
from ..techniques import dropout
from .multi_head_attention import MultiHeadAttention
from .transformer_lm import AttentionMask, TiedHead, TransformerLM, feed_forward, norm, positions


class Transformer(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = TransformerLM(spec.encoder())
        self.cross_mask = CrossMask(spec) if spec.pad_token_id is not None else None
        self.decoder = Decoder(spec)
        if spec.shared_embedding:
            self.decoder.token_embedding = self.encoder.token_embedding

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        cross_mask = None if self.cross_mask is None else self.cross_mask(source)
        return self.decoder(target, self.encoder(source), cross_mask)

    def start(self, batch: int, source: torch.Tensor) -> Cache:
        """The cache of a decoder that has written nothing yet: the source is encoded, once."""
        memory, like = self.encoder(source), self.encoder.token_embedding.weight
        layers: list[KeyValues] = []
        for block in self.decoder.blocks:
            layers.append(KeyValues.empty(like, batch, *self.spec.attention().kept))
            layers.append(KeyValues(*block.cross_attention.key_values(memory, memory)))
        kept = None if self.cross_mask is None else self.cross_mask(source)[:, 0, 0]  # (batch, memory)
        return Cache.empty(like, batch, layers, kept)

    def decode(self, target: torch.Tensor, cache: Cache) -> torch.Tensor:
        """The logits after the last of these tokens, which follow those in the cache and are kept there as well."""
        everything, start = cache.extended(target)
        x, mask = self.decoder.embed(target, start=start), self.decoder.mask(everything, start=start)
        cross_mask = None if cache.memory is None else cache.memory[:, None, None]  # (batch, heads, queries, memory)
        pairs = zip(cache.layers[::2], cache.layers[1::2], strict=True)
        for block, (kept, crossed) in zip(self.decoder.blocks, pairs, strict=True):
            x = block(x, mask, None, cross_mask, cache=kept, memory_cache=crossed)
        return self.decoder.logits(self.decoder.norm(x[:, -1:]))  # (batch, 1, channels)


class Decoder(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.scale = math.sqrt(spec.d_model) if spec.scale_embedding else 1.0
        self.tied = spec.tied_head
        self.token_embedding = None if spec.shared_embedding else Embedding(spec.written, spec.d_model)
        self.positions = positions(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.mask = AttentionMask(True, spec.pad_token_id)
        self.blocks = nn.ModuleList([DecoderBlock(spec) for _ in range(spec.num_decoder_layers)])
        self.norm = norm(spec) if spec.norm == "pre" else nn.Identity()
        self.head = TiedHead(spec.written, spec.head_bias) if self.tied else linear_head(spec)

    def forward(
        self, target: torch.Tensor, memory: torch.Tensor, cross_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        x, mask = self.embed(target), self.mask(target)
        for block in self.blocks:
            x = block(x, mask, memory, cross_mask)
        return self.logits(self.norm(x))

    def embed(self, target: torch.Tensor, start: int = 0) -> torch.Tensor:
        """What the first block is given; the first token is at position `start`."""
        x = self.token_embedding(target) * self.scale  # (batch, time) -> (batch, time, channels)
        return self.dropout(self.positions(x, start=start))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """The head's result; a tied one is given the embedding."""
        return self.head(x, self.token_embedding.weight) if self.tied else self.head(x)


class DecoderBlock(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pre_norm = spec.norm == "pre"
        self.attention = MultiHeadAttention(spec.attention())
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm1 = norm(spec)
        self.cross_attention = MultiHeadAttention(spec.cross_attention())
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm2 = norm(spec)
        self.feed_forward = feed_forward(spec)
        self.dropout3 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.norm3 = norm(spec)

    def forward(
        self,
        x: torch.Tensor,
        attention_mask: torch.Tensor,
        memory: torch.Tensor | None,
        cross_mask: torch.Tensor | None = None,
        cache: KeyValues | None = None,
        memory_cache: KeyValues | None = None,
    ) -> torch.Tensor:
        y = self.norm1(x) if self.pre_norm else x
        x = x + self.dropout1(self.attention(y, y, y, attention_mask, cache=cache))
        x = x if self.pre_norm else self.norm1(x)
        y = self.norm2(x) if self.pre_norm else x
        x = x + self.dropout2(self.cross_attention(y, memory, memory, cross_mask, cache=memory_cache))
        x = x if self.pre_norm else self.norm2(x)
        y = self.norm3(x) if self.pre_norm else x
        x = x + self.dropout3(self.feed_forward(y))
        return x if self.pre_norm else self.norm3(x)


class CrossMask(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.pad_token_id = spec.pad_token_id

    def forward(self, source: torch.Tensor) -> torch.Tensor:
        return (source != self.pad_token_id)[:, None, None]  # (batch, heads, queries, memory)


def linear_head(spec: Spec) -> nn.Linear:
    return nn.Linear(spec.d_model, spec.written, bias=spec.head_bias)


def build(spec: Spec) -> Transformer:
    return Transformer(spec)
