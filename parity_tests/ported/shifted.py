"""Windows that are shifted, with a table of biases by relative position. Keras: layers of its own with `ops` alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from . import Pair
from .weights import array, convolution, linear, norm

SIZE, WINDOW, WIDTH, HEADS = 4, 2, 8, 2


def offsets() -> np.ndarray:
    """Which row of the table each pair of places of a window takes."""
    places = np.stack(np.meshgrid(np.arange(WINDOW), np.arange(WINDOW), indexing="ij")).reshape(2, -1)
    apart = places[:, :, None] - places[:, None] + WINDOW - 1
    return apart[0] * (2 * WINDOW - 1) + apart[1]


class WindowAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, HEADS))
        self.register_buffer("relative_position_index", torch.tensor(offsets()))
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, count, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)].view(count, count, -1)
        scores = scores + bias.permute(2, 0, 1).unsqueeze(0)
        return self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(x.shape))


class Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, WIDTH, 2, 2)
        self.norm, self.attn, self.head = nn.LayerNorm(WIDTH), WindowAttention(), nn.Linear(WIDTH, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(x).permute(0, 2, 3, 1)
        y = torch.roll(self.norm(x), (-1, -1), (1, 2))
        y = y.reshape(-1, 2, WINDOW, 2, WINDOW, WIDTH).permute(0, 1, 3, 2, 4, 5).reshape(-1, WINDOW**2, WIDTH)
        y = self.attn(y).view(-1, 2, 2, WINDOW, WINDOW, WIDTH).permute(0, 1, 3, 2, 4, 5).reshape(x.shape)
        x = x + torch.roll(y, (1, 1), (1, 2))
        return self.head(torch.tanh(x).mean(dim=(1, 2)))


class Attention(layers.Layer):
    def __init__(self, index: np.ndarray, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.index, self.scale = index.reshape(-1), scale
        self.packed, self.out = layers.Dense(3 * WIDTH, name="packed"), layers.Dense(WIDTH, name="out")

    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=((2 * WINDOW - 1) ** 2, HEADS), initializer="zeros", name="table")
        self.packed.build(shape)
        self.out.build(shape)

    def call(self, x: Any) -> Any:
        count = WINDOW**2
        q, k, v = ops.unstack(ops.reshape(self.packed(x), (-1, count, 3, HEADS, WIDTH // HEADS)), axis=2)
        scores = ops.einsum("bqhd,bkhd->bhqk", q * self.scale, k)
        bias = ops.transpose(ops.reshape(ops.take(self.table, self.index, axis=0), (count, count, HEADS)), (2, 0, 1))
        weights = ops.softmax(scores + bias[None])
        return self.out(ops.reshape(ops.einsum("bhqk,bkhd->bqhd", weights, v), (-1, count, WIDTH)))


class ShiftedWindows(keras.Model):
    def __init__(self, index: np.ndarray | None = None, shift: int = -1, scale: float = 0.5) -> None:
        super().__init__()
        self.shift = shift
        self.stem, self.ln = layers.Conv2D(WIDTH, 2, 2), layers.LayerNormalization(epsilon=1e-5)
        self.attention = Attention(offsets() if index is None else index, scale, name="attention")
        self.classes = layers.Dense(3)

    def call(self, x: Any) -> Any:
        x = self.stem(x)
        y = ops.roll(self.ln(x), (self.shift, self.shift), axis=(1, 2))
        y = ops.transpose(ops.reshape(y, (-1, 2, WINDOW, 2, WINDOW, WIDTH)), (0, 1, 3, 2, 4, 5))
        y = self.attention(ops.reshape(y, (-1, WINDOW**2, WIDTH)))
        y = ops.transpose(ops.reshape(y, (-1, 2, 2, WINDOW, WINDOW, WIDTH)), (0, 1, 3, 2, 4, 5))
        x = x + ops.roll(ops.reshape(y, (-1, SIZE, SIZE, WIDTH)), (1, 1), axis=(1, 2))
        return self.classes(ops.mean(ops.tanh(x), axis=(1, 2)))


def load(source: Any, target: Any) -> None:
    target.stem.set_weights(convolution(source.patch_embed))
    target.ln.set_weights(norm(source.norm))
    target.attention.table.assign(array(source.attn.relative_position_bias_table))
    target.attention.packed.set_weights(linear(source.attn.qkv))
    target.attention.out.set_weights(linear(source.attn.proj))
    target.classes.set_weights(linear(source.head))


CORRECT = Pair("shifted", Shifted, ShiftedWindows, lambda rng: [rng.normal(size=(2, 8, 8, 3)).astype("float32")], load)

PAIRS = (
    CORRECT,
    CORRECT.but("shifted the other way", ":roll#0", "rolled by 1", keras=lambda: ShiftedWindows(shift=1)),
    CORRECT.but(
        "index transposed",
        "attn:*|attention:*",
        "swapped|transpos|another order",
        keras=lambda: ShiftedWindows(offsets().T),
    ),
    CORRECT.but("no scale", "attn:mul#0|attention:multiply#0", "scale|0.5", keras=lambda: ShiftedWindows(scale=1.0)),
)
