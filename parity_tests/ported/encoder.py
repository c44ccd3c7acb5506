"""Transformer encoders: PyTorch's own layer against a hand-written one, and hand-written attention against Keras's."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import torch
from keras import layers
from torch import nn

from . import Inputs, Pair
from .weights import array, attention, linear, norm, projection


class Encoder(nn.Module):
    """`padding` is true where a token is to be ignored, which is PyTorch's sense."""

    def __init__(self, *, norm_first: bool = False) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.1, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.embed = nn.Embedding(13, 8)
        self.cls = nn.Linear(8, 3)

    def forward(self, tokens: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        x = self.encoder(self.embed(tokens), src_key_padding_mask=padding)
        return self.cls(x[:, 0])


@keras.saving.register_keras_serializable("encoder")
class EncoderBlock(layers.Layer):
    """A block with the normalisation behind each part; `mistake` is what a port got wrong."""

    def __init__(self, heads: int = 2, epsilon: float = 1e-5, mistake: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.heads, self.epsilon, self.mistake = heads, epsilon, mistake
        self.attend = layers.MultiHeadAttention(heads, 8 // heads, dropout=0.1)
        self.widen = layers.Dense(12)
        self.act = layers.Activation("relu" if mistake == "relu" else "gelu")
        self.narrow = layers.Dense(8)
        self.norm_a = layers.LayerNormalization(epsilon=epsilon)
        self.norm_b = layers.LayerNormalization(epsilon=1e-5)
        self.drop = layers.Dropout(0.1)

    def get_config(self) -> dict[str, Any]:
        own = {"heads": self.heads, "epsilon": self.epsilon, "mistake": self.mistake}
        return {**super().get_config(), **own}

    def call(self, x: Any, attention_mask: Any = None, training: bool = False) -> Any:
        if self.mistake == "norm first":
            y = self.norm_a(x)
            x = x + self.drop(self.attend(y, y, attention_mask=attention_mask), training=training)
            return x + self.drop(self.narrow(self.act(self.widen(self.norm_b(x)))), training=training)
        y = self.attend(x, x, attention_mask=attention_mask, training=training)
        x = self.norm_a(x + self.drop(y, training=training))
        y = self.narrow(self.drop(self.act(self.widen(x)), training=training))
        return self.norm_b(x + self.drop(y, training=training))


@keras.saving.register_keras_serializable("encoder")
class TextEncoder(keras.Model):
    """`options` are the second block's. `inverted` takes PyTorch's mask for Keras's, where true is kept."""

    def __init__(self, inverted: bool = False, second: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.inverted, self.second = inverted, second
        self.words = layers.Embedding(13, 8)
        self.block1, self.block2 = EncoderBlock(), EncoderBlock(**(second or {}))
        self.head = layers.Dense(3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "inverted": self.inverted, "second": self.second}

    def call(self, inputs: Any, training: bool = False) -> Any:
        tokens, padding = inputs
        mask = padding if self.inverted else keras.ops.logical_not(padding)
        mask = keras.ops.expand_dims(mask, 1)
        x = self.block1(self.words(tokens), attention_mask=mask, training=training)
        return self.head(self.block2(x, attention_mask=mask, training=training)[:, 0])


def load(source: Any, target: Any) -> None:
    target.words.set_weights([array(source.embed.weight)])
    target.head.set_weights(linear(source.cls))
    for ours, theirs in zip(source.encoder.layers, (target.block1, target.block2), strict=True):
        theirs.attend.set_weights(attention(ours.self_attn, theirs.heads))
        theirs.widen.set_weights(linear(ours.linear1))
        theirs.narrow.set_weights(linear(ours.linear2))
        theirs.norm_a.set_weights(norm(ours.norm1))
        theirs.norm_b.set_weights(norm(ours.norm2))


class SelfAttention(nn.Module):
    """Four linear layers, and the products by hand."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_out = nn.Linear(width, width)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.size(0), x.size(1), self.heads, -1).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(self.to_q(x)), self.split(self.to_k(x)), self.split(self.to_v(x))
        weights = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.size(-1)), dim=-1)
        return self.to_out((weights @ v).transpose(1, 2).flatten(2))


class Bert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8, eps=1e-12), nn.LayerNorm(8, eps=1e-12)
        self.attn = SelfAttention(8, 2)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.pooler = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.norm1(x + self.attn(x))
        x = self.norm2(x + self.mlp(x))
        return {"hidden": x, "pooled": torch.tanh(self.pooler(x[:, 0]))}


def bert(*, approximate: bool = False, axis: int = -1, extra: bool = False, heads: int = 2) -> keras.Model:
    """Six tokens of six, eight wide; the first normalisation's axis may be wrong where both are eight."""
    tokens = keras.Input((8, 8))
    y = layers.MultiHeadAttention(heads, 8 // heads, name="attention")(tokens, tokens)
    x = layers.LayerNormalization(axis=axis, epsilon=1e-12, name="ln_1")(layers.Add(name="add_1")([tokens, y]))
    y = layers.Dense(16, name="up")(x)
    y = layers.Activation("gelu", name="gelu")(y) if not approximate else Tanh(name="gelu")(y)
    y = layers.Dense(8, activation="relu" if extra else None, name="down")(y)
    x = layers.LayerNormalization(epsilon=1e-12, name="ln_2")(layers.Add(name="add_2")([x, y]))
    pooled = layers.Dense(8, activation="tanh", name="pooler")(x[:, 0])
    return keras.Model(tokens, {"hidden": x, "pooled": pooled})


@keras.saving.register_keras_serializable("encoder")
class Tanh(layers.Layer):
    """`keras.ops.gelu` as one calls it, which is the form with tanh."""

    def call(self, x: Any) -> Any:
        return keras.ops.gelu(x)


def load_bert(source: Any, target: Any) -> None:
    one, heads = target.get_layer("attention"), target.get_layer("attention").num_heads
    linears = [source.attn.to_q, source.attn.to_k, source.attn.to_v]
    split = [part for ours in linears for part in projection(array(ours.weight), array(ours.bias), heads)]
    out = source.attn.to_out
    one.set_weights([*split, array(out.weight).T.reshape(heads, -1, 8), array(out.bias)])
    for name, ours in {"ln_1": source.norm1, "ln_2": source.norm2}.items():
        target.get_layer(name).set_weights(norm(ours))
    for name, ours in {"up": source.mlp[0], "down": source.mlp[2], "pooler": source.pooler}.items():
        target.get_layer(name).set_weights(linear(ours))


def load_swapped_query_and_key(source: Any, target: Any) -> None:
    load_bert(source, target)
    one = target.get_layer("attention")
    query, query_bias, key, key_bias, *others = one.get_weights()
    one.set_weights([key, key_bias, query, query_bias, *others])


def padded(rng: np.random.Generator) -> list[np.ndarray]:
    """Tokens, and true where one is to be ignored."""
    return [rng.integers(0, 13, (3, 6)), np.arange(6) >= np.array([[6], [4], [3]])]


def vectors(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(2, 8, 8)).astype("float32")]


def as_they_are(given: Inputs) -> Inputs:
    return given


ENCODER = Pair("encoder", Encoder, TextEncoder, padded, load)
BERT = Pair("bert", Bert, bert, vectors, load_bert, torch_inputs=as_they_are)
FIRST = "encoder.layers.0.self_attn|block1/attend|:logical_not#0"
SECOND = "encoder.layers.1|block2|encoder.layers.1.norm1|encoder.layers.1.norm2|block2/norm_a|block2/norm_b"
SECOND += "|encoder.layers.1.self_attn|block2/attend"

PAIRS = (
    ENCODER,
    ENCODER.but("mask of the other sense", FIRST, "mask", keras=lambda: TextEncoder(inverted=True)),
    ENCODER.but(
        "normalisation first",
        SECOND,
        "order|swapped|before|lacks|normalis",
        keras=lambda: TextEncoder(second={"mistake": "norm first"}),
    ),
    ENCODER.but(
        "layer norm epsilon",
        "encoder.layers.1.norm1|block2/norm_a",
        "epsilon",
        keras=lambda: TextEncoder(second={"epsilon": 1e-3}),
        by="transfer",
    ),
    ENCODER.but(
        "heads",
        "encoder.layers.1.self_attn|block2/attend",
        "heads",
        keras=lambda: TextEncoder(second={"heads": 4}),
        by="transfer",
    ),
    ENCODER.but(
        "relu for gelu",
        "encoder.layers.1|encoder.layers.1:gelu#0|block2/act",
        "gelu",
        keras=lambda: TextEncoder(second={"mistake": "relu"}),
    ),
    BERT,
    BERT.but(
        "tanh form of gelu", "mlp.1|gelu", "approximate|tanh", keras=lambda: bert(approximate=True), by="transfer"
    ),
    BERT.but("axis of a layer norm", "norm1|ln_1", "axis|axes", keras=lambda: bert(axis=1)),
    BERT.but(
        "activation too many",
        "mlp.2|down:activation|down",
        "relu",
        keras=lambda: bert(extra=True),
    ),
    BERT.but(
        "query and key swapped",
        "attn|attn.to_q|attn.to_k|attention",
        "swapped|query, value, key|key, query",
        load=load_swapped_query_and_key,
    ),
)
