"""Tokens become vectors, and positions and tokens that there are not become one clear sentence."""

from __future__ import annotations

import torch
from torch import nn

from ..core.errors import InputError


class Embedding(nn.Embedding):
    """`nn.Embedding` that says which tokens it does not have."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if tokens.is_floating_point():
            raise InputError(f"tokens are whole numbers, and these are {tokens.dtype}")
        try:
            return super().forward(tokens)
        except IndexError as error:
            raise InputError(
                f"tokens lie between {int(tokens.min())} and {int(tokens.max())}, and the vocabulary is 0 to "
                f"{self.num_embeddings - 1}"
            ) from error


class LearnedPositions(nn.Module):
    """A vector for each position, from `start` on, is added."""

    def __init__(self, max_len: int, d_model: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(max_len, d_model))

    def forward(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        return x + positions(self.vectors, x.shape[1], start)


class SinusoidalPositions(nn.Module):
    """Sines and cosines of each position, from `start` on, are added (Vaswani et al. 2017, section 3.5)."""

    def __init__(self, max_len: int, d_model: int) -> None:
        super().__init__()
        waves = torch.stack([function(angles(max_len, d_model)) for function in (torch.sin, torch.cos)], dim=-1)
        self.register_buffer("waves", waves.flatten(1), persistent=False)  # (time, pairs, 2) -> (time, channels)

    def forward(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        return x + positions(self.waves, x.shape[1], start).to(x.dtype)


class RotaryPositions(nn.Module):
    """Each pair of channels is rotated by its position's angle (Su et al., "RoFormer", 2021, section 3.2.2).

    The pairs are the two `halves` of the channels, as in LLaMA, or neighbours, `interleaved`, as in the paper.
    """

    def __init__(self, max_len: int, channels: int, base: float, pairs: str) -> None:
        super().__init__()
        self.interleaved = pairs == "interleaved"
        self.register_buffer("sine", angles(max_len, channels, base).sin(), persistent=False)
        self.register_buffer("cosine", angles(max_len, channels, base).cos(), persistent=False)

    def forward(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        waves = (positions(wave, x.shape[2], start) for wave in (self.sine, self.cosine))
        sine, cosine = (wave.to(x.dtype) for wave in waves)  # (time, pairs)
        if self.interleaved:
            first, second = x[..., 0::2], x[..., 1::2]  # (batch, heads, time, pairs)
        else:
            first, second = x.chunk(2, dim=-1)
        turned = first * cosine - second * sine, first * sine + second * cosine
        return torch.stack(turned, dim=-1).flatten(-2) if self.interleaved else torch.cat(turned, dim=-1)


def angles(max_len: int, channels: int, base: float = 10000.0) -> torch.Tensor:
    """Position times frequency, which falls from 1 to nearly 1 / base, (time, pairs), float64."""
    frequency = base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    return torch.outer(torch.arange(max_len, dtype=torch.float64), frequency)


def positions(table: torch.Tensor, time: int, start: int = 0) -> torch.Tensor:
    """The rows of a table from `start` on. Raises InputError where it has none."""
    if start + time > table.shape[0]:
        raise InputError(f"a sequence of {start + time} positions is longer than max_len {table.shape[0]}")
    return table[start : start + time]
