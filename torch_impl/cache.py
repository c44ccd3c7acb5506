"""What a decoder keeps of earlier positions, so that each new one costs one position's work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import torch


class Kept(Protocol):
    """What one attention keeps: tensors whose first axis is the batch."""

    def tensors(self) -> list[torch.Tensor]: ...

    def load(self, tensors: list[torch.Tensor]) -> None: ...


class KeyValues:
    """Keys and values of the positions so far, (batch, heads, time, channels)."""

    def __init__(self, key: torch.Tensor, value: torch.Tensor) -> None:
        self.key, self.value = key, value

    @classmethod
    def empty(cls, like: torch.Tensor, batch: int, heads: int, size: int) -> Self:
        """Of no position yet, in the precision of another tensor."""
        nothing = like.new_empty(batch, heads, 0, size)
        return cls(nothing, nothing)

    def extended(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """With those of new positions, which are kept as well."""
        self.key, self.value = torch.cat([self.key, key], dim=2), torch.cat([self.value, value], dim=2)
        return self.key, self.value

    def tensors(self) -> list[torch.Tensor]:
        return [self.key, self.value]

    def load(self, tensors: list[torch.Tensor]) -> None:
        self.key, self.value = tensors


class Cache:
    """The tokens so far, (batch, time), what each attention keeps, and which positions of a memory are no padding."""

    def __init__(self, tokens: torch.Tensor, layers: Sequence[Kept], memory: torch.Tensor | None = None) -> None:
        self.tokens, self.layers, self.memory = tokens, layers, memory

    @classmethod
    def empty(cls, like: torch.Tensor, batch: int, layers: Sequence[Kept], memory: torch.Tensor | None = None) -> Self:
        """Of no token yet, on the device of another tensor."""
        return cls(torch.empty(batch, 0, dtype=torch.long, device=like.device), layers, memory)

    def extended(self, tokens: torch.Tensor) -> tuple[torch.Tensor, int]:
        """All tokens with the new ones, which are kept as well, and the position of the first new one."""
        start = self.tokens.shape[1]
        self.tokens = torch.cat([self.tokens, tokens], dim=1)
        return self.tokens, start

    def tensors(self) -> list[torch.Tensor]:
        """All that is kept; the first axis is the batch."""
        memory = [] if self.memory is None else [self.memory]
        return [self.tokens, *memory, *(tensor for layer in self.layers for tensor in layer.tensors())]

    def load(self, tensors: list[torch.Tensor]) -> None:
        """The inverse of `tensors`."""
        self.tokens, *rest = tensors
        if self.memory is not None:
            self.memory, *rest = rest
        for layer in self.layers:
            count = len(layer.tensors())
            layer.load(rest[:count])
            rest = rest[count:]
