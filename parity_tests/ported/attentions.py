"""Attention that is one layer in one framework, and four linear layers and some products in the other."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import layers, ops
from torch import nn

from . import Inputs, Pair
from .weights import array, attention, linear, norm, projection

WIDTH, HEADS = 8, 2


class Attention(nn.Module):
    """Four linear layers around PyTorch's own product, and what follows; `keep` is true where is attended to."""

    def __init__(self, scale: float | None = None) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.scale = scale

    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            layer(x).view(*x.shape[:2], HEADS, -1).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        y = F.scaled_dot_product_attention(query, key, value, keep[:, None, None, :], scale=self.scale)
        return self.norm(x + self.out(y.transpose(1, 2).flatten(2)))


class Layers(nn.Module):
    def __init__(self, scale: float | None = None) -> None:
        super().__init__()
        self.attn, self.head = Attention(scale), nn.Linear(WIDTH, 3)

    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        return self.head(self.attn(x, keep))


def whole(*, heads: int = HEADS, inverted: bool = False, masked: bool = True) -> keras.Model:
    """Keras's own attention."""
    x, keep = keras.Input((6, WIDTH), name="x"), keras.Input((6,), dtype="bool", name="keep")
    mask = (ops.logical_not(keep) if inverted else keep)[:, None, :]
    attend = layers.MultiHeadAttention(heads, WIDTH // heads, name="mha")
    y = attend(x, x, attention_mask=mask) if masked else attend(x, x)
    y = layers.LayerNormalization(epsilon=1e-6, name="norm")(x + y)
    return keras.Model([x, keep], layers.Dense(3, name="head")(y))


def load_whole(source: Any, target: Any) -> None:
    one, own = target.get_layer("mha"), source.attn
    linears = (own.query, own.key, own.value)
    split = [part for ours in linears for part in projection(array(ours.weight), array(ours.bias), one.num_heads)]
    one.set_weights([*split, array(own.out.weight).T.reshape(one.num_heads, -1, WIDTH), array(own.out.bias)])
    target.get_layer("norm").set_weights(norm(own.norm))
    target.get_layer("head").set_weights(linear(source.head))


class Crossed(nn.Module):
    """PyTorch's own attention: each place of `x` sees the places of `memory` that are not behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        hidden = torch.ones(x.shape[1], memory.shape[1], dtype=torch.bool).triu(1)
        return self.head(self.attn(x, memory, memory, attn_mask=hidden, need_weights=False)[0])


@keras.saving.register_keras_serializable("attentions")
class ByHand(layers.Layer):
    """Four dense layers, the query's behind the key's and the value's, and the products by hand."""

    def __init__(self, causal: bool = True, scaled: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.causal, self.scaled = causal, scaled
        self.k, self.v, self.q, self.o = (layers.Dense(WIDTH, name=name) for name in "kvqo")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "causal": self.causal, "scaled": self.scaled}

    def build(self, x_shape: Any, memory_shape: Any) -> None:
        for layer, shape in ((self.k, memory_shape), (self.v, memory_shape), (self.q, x_shape), (self.o, x_shape)):
            layer.build(shape)

    def call(self, x: Any, memory: Any) -> Any:
        key, value, query = (
            ops.transpose(ops.reshape(made, (-1, made.shape[1], HEADS, WIDTH // HEADS)), (0, 2, 1, 3))
            for made in (self.k(memory), self.v(memory), self.q(x))
        )
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        if self.scaled:
            scores = scores / (WIDTH // HEADS) ** 0.5
        if self.causal:
            seen = ops.tril(ops.ones(scores.shape[-2:], "bool"))
            scores = ops.where(seen, scores, -1e9)
        made = ops.transpose(ops.matmul(ops.softmax(scores), value), (0, 2, 1, 3))
        return self.o(ops.reshape(made, (-1, x.shape[1], WIDTH)))


def crossed(**options: Any) -> keras.Model:
    x, memory = keras.Input((6, WIDTH), name="x"), keras.Input((6, WIDTH), name="memory")
    return keras.Model([x, memory], layers.Dense(3, name="head")(ByHand(name="hand", **options)(x, memory)))


def load_crossed(source: Any, target: Any) -> None:
    hand = target.get_layer("hand")
    weights = attention(source.attn, HEADS)
    for layer, (kernel, bias) in zip((hand.q, hand.k, hand.v, hand.o), zip(weights[::2], weights[1::2], strict=True),
                                     strict=True):  # fmt: skip
        layer.set_weights([kernel.reshape(WIDTH, WIDTH), bias.reshape(WIDTH)])
    target.get_layer("head").set_weights(linear(source.head))


def kept(rng: np.random.Generator) -> list[np.ndarray]:
    """Vectors, and true where one is attended to."""
    return [rng.normal(size=(3, 6, WIDTH)).astype("float32"), np.arange(6) < np.array([[6], [4], [3]])]


def two(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(3, 6, WIDTH)).astype("float32") for _ in range(2)]


def as_they_are(given: Inputs) -> Inputs:
    return given


LAYERS = Pair("layered attention", Layers, whole, kept, load_whole)
CROSSED = Pair("crossed attention", Crossed, crossed, two, load_crossed, torch_inputs=as_they_are)

PAIRS = (
    LAYERS,
    LAYERS.but("mask of the other sense", "attn|mha", "mask", keras=lambda: whole(inverted=True)),
    LAYERS.but("mask missing", "attn|mha", "every place seen", keras=lambda: whole(masked=False)),
    LAYERS.but("heads", "attn|mha", "4 heads", keras=lambda: whole(heads=4), by="transfer"),
    LAYERS.but("no scale", "attn|mha", "no scale", torch=lambda: Layers(scale=1.0)),
    CROSSED,
    CROSSED.but("causal mask missing", "attn|hand", "causal", keras=lambda: crossed(causal=False)),
    CROSSED.but("scale missing", "attn|hand", "no scale", keras=lambda: crossed(scaled=False), by="transfer"),
)
