"""Queries in one kernel with the keys and values of fewer heads, turned by their places, and biased by distance."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import layers, ops
from torch import nn

from . import Pair
from .weights import array, linear

WIDTH, HEADS, SHARED, DEPTH, WORDS, LENGTH = 8, 4, 2, 4, 9, 5
QUERY, KEY = HEADS * DEPTH, SHARED * DEPTH


def turns(base: float = 100.0) -> np.ndarray:
    """The angle of every place and pair of features."""
    return np.arange(LENGTH)[:, None] / base ** (np.arange(DEPTH // 2) / (DEPTH // 2))


class Grouped(nn.Module):
    """Two heads of queries to each of keys and values; `slopes` weigh how far back a key lies."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, QUERY + 2 * KEY), nn.Linear(QUERY, WIDTH, bias=False)
        self.register_buffer("causal", torch.ones(LENGTH, LENGTH).tril(), persistent=False)
        self.register_buffer("slopes", torch.tensor([0.5, 0.25, 0.125, 0.0625]), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.qkv(x).split([QUERY, KEY, KEY], dim=-1)
        q, k, v = (part.unflatten(-1, (-1, DEPTH)).transpose(1, 2) for part in parts)
        angles = torch.as_tensor(np.tile(turns(), 2), dtype=x.dtype)
        q, k = (y * angles.cos() + torch.cat([-y[..., 2:], y[..., :2]], -1) * angles.sin() for y in (q, k))
        k, v = (y.repeat_interleave(HEADS // SHARED, 1) for y in (k, v))
        back = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)
        scores = q @ k.transpose(-1, -2) / DEPTH**0.5 - self.slopes[:, None, None] * back
        scores = scores.masked_fill(self.causal == 0, float("-inf"))
        return self.out((F.softmax(scores, -1) @ v).transpose(1, 2).flatten(2))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.attn, self.head = nn.Embedding(WORDS, WIDTH), Grouped(), nn.Linear(WIDTH, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        return self.head(x + self.attn(x))


@keras.saving.register_keras_serializable("grouped")
class Apart(layers.Layer):
    """Three kernels; `mistake` is one word of what a port gets wrong."""

    def __init__(self, mistake: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.mistake = mistake
        sizes = {"wq": QUERY, "wk": KEY, "wv": KEY}
        self.wq, self.wk, self.wv = (layers.Dense(size, name=name) for name, size in sizes.items())
        self.wo = layers.Dense(WIDTH, use_bias=False, name="wo")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mistake": self.mistake}

    def build(self, shape: Any) -> None:
        for layer, size in ((self.wq, WIDTH), (self.wk, WIDTH), (self.wv, WIDTH), (self.wo, QUERY)):
            layer.build((None, LENGTH, size))

    def turned(self, y: Any) -> Any:
        angles = turns(10.0 if self.mistake == "base" else 100.0)[:, None]
        cos, sin = (ops.cast(turn, y.dtype) for turn in (np.cos(angles), np.sin(angles)))
        first, second = (y[..., ::2], y[..., 1::2]) if self.mistake == "pairs" else ops.split(y, 2, -1)
        both = [first * cos - second * sin, second * cos + first * sin]
        return ops.reshape(ops.stack(both, -1), ops.shape(y)) if self.mistake == "pairs" else ops.concatenate(both, -1)

    def call(self, x: Any) -> Any:
        q, k, v = (ops.reshape(made, (-1, LENGTH, made.shape[-1] // DEPTH, DEPTH)) for made in
                   (self.wq(x), self.wk(x), self.wv(x)))  # fmt: skip
        q, k, times = self.turned(q), self.turned(k), HEADS // SHARED
        k, v = (ops.tile(y, (1, 1, times, 1)) if self.mistake == "tiled" else ops.repeat(y, times, 2) for y in (k, v))
        scores = ops.einsum("bqhd,bkhd->bhqk", q, k) / (3.0 if self.mistake == "scale" else DEPTH**0.5)
        slopes = np.array([0.5, 0.25, 0.125, 0.0625]) * (2.0 if self.mistake == "slopes" else 1.0)
        places = np.arange(LENGTH)
        scores = scores - ops.cast(slopes[:, None, None] * (places[:, None] - places), scores.dtype)
        if self.mistake != "mask":
            scores = ops.where(ops.tril(ops.ones((LENGTH, LENGTH), "bool")), scores, -1e9)
        read = ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), v)
        return self.wo(ops.reshape(read, (-1, LENGTH, QUERY)))


def model(mistake: str = "") -> keras.Model:
    tokens = keras.Input((LENGTH,), dtype="int32")
    x = layers.Embedding(WORDS, WIDTH, name="embed")(tokens)
    return keras.Model(tokens, layers.Dense(3, name="head")(x + Apart(mistake, name="attention")(x)))


def load(source: Any, target: Any) -> None:
    attention = target.get_layer("attention")
    kernels, biases = (
        np.split(array(held), [QUERY, QUERY + KEY]) for held in (source.attn.qkv.weight, source.attn.qkv.bias)
    )
    for layer, kernel, bias in zip((attention.wq, attention.wk, attention.wv), kernels, biases, strict=True):
        layer.set_weights([kernel.T, bias])
    attention.wo.set_weights([array(source.attn.out.weight).T])
    target.get_layer("embed").set_weights([array(source.embed.weight)])
    target.get_layer("head").set_weights(linear(source.head))


CORRECT = Pair("queries in groups", Model, model, lambda rng: [rng.integers(0, WORDS, (3, LENGTH))], load)
PLACE = "attn|attn:matmul#0|attention"

PAIRS = (
    CORRECT,
    CORRECT.but("keys tiled", PLACE, "keys 1, 2, 1, 2", keras=lambda: model("tiled")),
    CORRECT.but("pairs rotated", PLACE, "neighbouring pairs", keras=lambda: model("pairs"), by="transfer"),
    CORRECT.but("base of the rotation", PLACE, "base 10", keras=lambda: model("base")),
    CORRECT.but("no usual scale", PLACE, "scale 0.3333", keras=lambda: model("scale"), by="transfer"),
    CORRECT.but("slopes", PLACE, "slopes", keras=lambda: model("slopes"), by="factories"),
    CORRECT.but("mask missing", PLACE, "no mask", keras=lambda: model("mask")),
)
