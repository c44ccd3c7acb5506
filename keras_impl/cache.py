"""What a decoder keeps of earlier positions, so that each new one costs one position's work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from keras import ops


class Kept(Protocol):
    """What one attention keeps: tensors whose first axis is the batch."""

    def tensors(self) -> list[Any]: ...

    def load(self, tensors: list[Any]) -> None: ...


class KeyValues:
    """Keys and values of the positions so far, (batch, heads, time, channels)."""

    def __init__(self, key: Any, value: Any) -> None:
        self.key, self.value = key, value

    @classmethod
    def empty(cls, like: Any, batch: int, heads: int, size: int) -> Self:
        """Of no position yet, in the precision of another tensor."""
        nothing = ops.zeros((batch, heads, 0, size), dtype=like.dtype)
        return cls(nothing, nothing)

    def extended(self, key: Any, value: Any) -> tuple[Any, Any]:
        """With those of new positions, which are kept as well."""
        self.key, self.value = ops.concatenate([self.key, key], 2), ops.concatenate([self.value, value], 2)
        return self.key, self.value

    def tensors(self) -> list[Any]:
        return [self.key, self.value]

    def load(self, tensors: list[Any]) -> None:
        self.key, self.value = tensors


class Cache:
    """The tokens so far, (batch, time), what each attention keeps, and which positions of a memory are no padding."""

    def __init__(self, tokens: Any, layers: Sequence[Kept], memory: Any = None) -> None:
        self.tokens, self.layers, self.memory = tokens, layers, memory

    @classmethod
    def empty(cls, like: Any, batch: int, layers: Sequence[Kept], memory: Any = None) -> Self:
        """Of no token yet, on the device of another tensor."""
        return cls(ops.zeros((batch, 0), dtype="int64"), layers, memory)

    def extended(self, tokens: Any) -> tuple[Any, Any]:
        """All tokens with the new ones, which are kept as well, and the position of the first new one."""
        start = ops.shape(self.tokens)[1]
        self.tokens = ops.concatenate([self.tokens, tokens], axis=1)
        return self.tokens, start

    def tensors(self) -> list[Any]:
        """All that is kept; the first axis is the batch."""
        memory = [] if self.memory is None else [self.memory]
        return [self.tokens, *memory, *(tensor for layer in self.layers for tensor in layer.tensors())]

    def load(self, tensors: list[Any]) -> None:
        """The inverse of `tensors`."""
        self.tokens, *rest = tensors
        if self.memory is not None:
            self.memory, *rest = rest
        for layer in self.layers:
            count = len(layer.tensors())
            layer.load(rest[:count])
            rest = rest[count:]
