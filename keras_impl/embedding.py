"""Tokens become vectors, and positions and tokens that there are not become one clear sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers, ops

from .exact import constant
from .refusal import provided, refused


class Embedding(layers.Embedding):
    """`layers.Embedding` that says which tokens it does not have; of its own, TensorFlow counts negative ones back."""

    def __init__(self, rows: int, channels: int) -> None:
        super().__init__(rows, channels)
        self.supports_jit = False  # XLA leaves assertions out, and takes the nearest token that there is

    def call(self, tokens: Any) -> Any:
        tokens = ops.convert_to_tensor(tokens)
        if tokens.dtype.is_floating:
            raise refused(f"tokens are whole numbers, and these are {tokens.dtype.name}")
        if tf.executing_eagerly():
            array = np.asarray(tokens)
            if array.size and not 0 <= array.min() <= array.max() < self.input_dim:
                raise refused(
                    f"tokens lie between {array.min()} and {array.max()}, and the vocabulary is 0 to "
                    f"{self.input_dim - 1}"
                )
        elif tf.is_symbolic_tensor(tokens):
            inside = tf.reduce_all((tokens >= 0) & (tokens < self.input_dim))
            tokens = provided(inside, f"the vocabulary is 0 to {self.input_dim - 1}, and tokens lie outside", tokens)
        return super().call(tokens)


class LearnedPositions(layers.Layer):
    """A vector for each position, from `start` on, is added."""

    def __init__(self, max_len: int, d_model: int) -> None:
        super().__init__()
        self.vectors = self.add_weight(name="vectors", shape=(max_len, d_model))

    def call(self, x: Any, start: Any = 0) -> Any:
        return x + positions(self.vectors, ops.shape(x)[1], start)


class SinusoidalPositions(layers.Layer):
    """Sines and cosines of each position, from `start` on, are added (Vaswani et al. 2017, section 3.5)."""

    def __init__(self, max_len: int, d_model: int) -> None:
        super().__init__()
        waves = np.stack([function(angles(max_len, d_model)) for function in (np.sin, np.cos)], axis=-1)
        self.waves = waves.reshape(max_len, d_model)  # (time, pairs, 2) -> (time, channels)

    def call(self, x: Any, start: Any = 0) -> Any:
        return x + positions(constant(self.waves, x), ops.shape(x)[1], start)


class RotaryPositions(layers.Layer):
    """Each pair of channels is rotated by its position's angle (Su et al., "RoFormer", 2021, section 3.2.2).

    The pairs are the two `halves` of the channels, as in LLaMA, or neighbours, `interleaved`, as in the paper.
    """

    def __init__(self, max_len: int, channels: int, base: float, pairs: str) -> None:
        super().__init__()
        self.interleaved = pairs == "interleaved"
        self.sine = np.sin(angles(max_len, channels, base))
        self.cosine = np.cos(angles(max_len, channels, base))

    def call(self, x: Any, start: Any = 0) -> Any:
        waves = (constant(wave, x) for wave in (self.sine, self.cosine))
        sine, cosine = (positions(wave, ops.shape(x)[2], start) for wave in waves)  # (time, pairs)
        if self.interleaved:
            first, second = x[..., 0::2], x[..., 1::2]  # (batch, heads, time, pairs)
        else:
            first, second = ops.split(x, 2, axis=-1)
        turned = first * cosine - second * sine, first * sine + second * cosine
        return ops.reshape(ops.stack(turned, -1), ops.shape(x)) if self.interleaved else ops.concatenate(turned, -1)


def angles(max_len: int, channels: int, base: float = 10000.0) -> np.ndarray:
    """Position times frequency, which falls from 1 to nearly 1 / base, (time, pairs), float64."""
    frequency = base ** (-np.arange(0, channels, 2) / channels)
    return np.outer(np.arange(max_len), frequency)


def positions(table: Any, time: Any, start: Any = 0) -> Any:
    """The rows of a table from `start` on. Raises InputError where it has none."""
    stop = start + time
    if isinstance(stop, int) and stop > table.shape[0]:
        raise refused(f"a sequence of {stop} positions is longer than max_len {table.shape[0]}")
    if tf.is_symbolic_tensor(stop):
        table = provided(stop <= table.shape[0], f"the sequence is longer than max_len {table.shape[0]}", table)
    return table[start:stop]
