"""What a decoder keeps of earlier positions, so that each new one costs one position's work."""

from __future__ import annotations

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
    """The tokens so far, (batch, time), and what each attention keeps of them."""

    def __init__(self, tokens: Any, layers: list[Kept]) -> None:
        self.tokens, self.layers = tokens, layers

    @classmethod
    def empty(cls, like: Any, batch: int, layers: list[Kept]) -> Self:
        """Of no token yet, on the device of another tensor."""
        return cls(ops.zeros((batch, 0), dtype="int64"), layers)

    def extended(self, tokens: Any) -> tuple[Any, Any]:
        """All tokens with the new ones, which are kept as well, and the position of the first new one."""
        start = ops.shape(self.tokens)[1]
        self.tokens = ops.concatenate([self.tokens, tokens], axis=1)
        return self.tokens, start

    def tensors(self) -> list[Any]:
        """All that is kept; the first axis is the batch."""
        return [self.tokens, *(tensor for layer in self.layers for tensor in layer.tensors())]

    def load(self, tensors: list[Any]) -> None:
        """The inverse of `tensors`."""
        self.tokens, *rest = tensors
        for layer in self.layers:
            count = len(layer.tensors())
            layer.load(rest[:count])
            rest = rest[count:]
