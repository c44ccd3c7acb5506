"""The Vision Transformer. See core/architectures/vit.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.architectures.vit import ViT as Spec
from ...core.techniques.dropout import Dropout
from ...core.techniques.stochastic_depth import StochasticDepth
from ..feed_forward import FeedForward
from ..techniques import dropout, stochastic_depth
from .multi_head_attention import MultiHeadAttention


class ViT(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.patches = PatchEmbedding(spec)
        self.class_token = ClassToken(spec) if spec.class_token else nn.Identity()
        self.positions = LearnedPositions(spec) if spec.positions == "learned" else SinusoidalPositions(spec)
        self.dropout = dropout.build(Dropout(rate=spec.dropout_rate))
        self.blocks = nn.ModuleList([EncoderBlock(spec, rate) for rate in spec.depth_rates()])
        self.norm = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon)
        self.pooling = Pooling(spec)
        self.head = nn.Linear(spec.d_model, spec.num_classes) if spec.num_classes else nn.Identity()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.patches(image)  # (batch, channels, height, width) -> (batch, time, channels)
        x = self.dropout(self.positions(self.class_token(x)))
        for block in self.blocks:
            x = block(x)
        x = self.pooling(self.norm(x))  # (batch, time, channels) -> (batch, channels)
        return self.head(x)


class PatchEmbedding(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.projection = nn.Conv2d(spec.in_channels, spec.d_model, spec.patch_size, stride=spec.patch_size)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.projection(image)  # (batch, channels, rows, columns)
        return x.flatten(2).transpose(1, 2)  # (batch, time, channels)


class ClassToken(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(1, spec.d_model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        token = self.vectors.expand(x.shape[0], -1, -1)  # (batch, 1, channels)
        return torch.cat([token, x], dim=1)


class LearnedPositions(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(spec.num_tokens, spec.d_model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.vectors


class SinusoidalPositions(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        quarter = spec.d_model // 4
        frequency = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
        angles = torch.outer(torch.arange(spec.grid, dtype=torch.float64), frequency)
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (rows or columns, channels / 2)
        columns, rows = waves.repeat(spec.grid, 1), waves.repeat_interleave(spec.grid, dim=0)
        vectors = torch.cat([columns, rows], dim=1)  # (time, channels)
        token = torch.zeros(int(spec.class_token), spec.d_model, dtype=torch.float64)
        self.register_buffer("waves", torch.cat([token, vectors]), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.waves.to(x.dtype)


class EncoderBlock(nn.Module):
    def __init__(self, spec: Spec, rate: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon)
        self.attention = MultiHeadAttention(spec.attention())
        self.dropout1 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.stochastic_depth1 = stochastic_depth.build(StochasticDepth(rate=rate))
        self.norm2 = nn.LayerNorm(spec.d_model, eps=spec.norm_epsilon)
        self.feed_forward = FeedForward(spec.d_model, spec.d_ff, "mlp", spec.activation, True, spec.dropout_rate)
        self.dropout2 = dropout.build(Dropout(rate=spec.dropout_rate))
        self.stochastic_depth2 = stochastic_depth.build(StochasticDepth(rate=rate))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        attended = self.dropout1(self.attend(self.norm1(x)))
        x = x + self.stochastic_depth1(attended)
        fed = self.dropout2(self.feed_forward(self.norm2(x)))
        return x + self.stochastic_depth2(fed)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """Self-attention."""
        return self.attention(x, x, x)


class Pooling(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.average, self.first_patch = spec.pooling == "average", int(spec.class_token)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.first_patch :].mean(dim=1) if self.average else x[:, 0]  # (batch, channels)


def build(spec: Spec) -> ViT:
    return ViT(spec)
