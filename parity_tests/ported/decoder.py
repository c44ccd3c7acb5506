"""A small GPT: packed projections, a causal mask, and a head tied to the embedding."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import layers, ops
from torch import nn

from . import Pair
from .weights import array, linear, norm

WIDTH, HEADS, WORDS, LONGEST = 8, 2, 12, 7


def positions() -> np.ndarray:
    """Sines and cosines, one row more than the longest text."""
    angles = np.arange(LONGEST + 1)[:, None] / 100 ** (np.arange(WIDTH // 2) / (WIDTH // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], -1).astype("float32")


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        q, k, v = (y.view(n, t, HEADS, -1).transpose(1, 2) for y in self.c_attn(x).split(WIDTH, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(n, t, WIDTH))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(WIDTH), Attention()
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.ModuleDict({"fc": nn.Linear(WIDTH, 16), "proj": nn.Linear(16, WIDTH)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["proj"](F.gelu(self.mlp["fc"](self.ln_2(x)), approximate="tanh"))


class GPT(nn.Module):
    """The embedding is scaled by the square root of its width, and its table is the head's kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(WORDS, WIDTH)
        self.h = nn.ModuleList([Block(), Block()])
        self.ln_f = nn.LayerNorm(WIDTH)
        self.lm_head = nn.Linear(WIDTH, WORDS, bias=False)
        self.lm_head.weight = self.wte.weight
        self.register_buffer("wpe", torch.from_numpy(positions()), persistent=False)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = self.wte(idx) * math.sqrt(WIDTH) + self.wpe[: idx.size(1)]
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


@keras.saving.register_keras_serializable("decoder")
class DecoderLayer(layers.Layer):
    """`causal` and `scaled` as they should be, unless a port forgot them."""

    def __init__(self, causal: bool = True, scaled: bool = True, swapped: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.causal, self.scaled, self.swapped = causal, scaled, swapped
        self.norm_in, self.norm_mid = layers.LayerNormalization(epsilon=1e-5), layers.LayerNormalization(epsilon=1e-5)
        self.qkv, self.out = layers.Dense(3 * WIDTH), layers.Dense(WIDTH)
        self.expand, self.shrink = layers.Dense(16), layers.Dense(WIDTH)

    def get_config(self) -> dict[str, Any]:
        own = {"causal": self.causal, "scaled": self.scaled, "swapped": self.swapped}
        return {**super().get_config(), **own}

    def mixed(self, x: Any) -> Any:
        length = x.shape[1]
        parts = ops.split(self.qkv(x), 3, axis=-1)
        q, k, v = (ops.transpose(ops.reshape(p, (-1, length, HEADS, WIDTH // HEADS)), (0, 2, 1, 3)) for p in parts)
        if self.swapped:
            k, v = v, k
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
        if self.scaled:
            scores = scores / (WIDTH // HEADS) ** 0.5
        if self.causal:
            scores = ops.where(ops.tril(ops.ones((length, length), dtype="bool")), scores, -1e30)
        read = ops.matmul(ops.softmax(scores, axis=-1), v)
        return self.out(ops.reshape(ops.transpose(read, (0, 2, 1, 3)), (-1, length, WIDTH)))

    def call(self, x: Any) -> Any:
        x = x + self.mixed(self.norm_in(x))
        return x + self.shrink(keras.activations.gelu(self.expand(self.norm_mid(x)), approximate=True))


@keras.saving.register_keras_serializable("decoder")
class LanguageModel(keras.Model):
    """`mistake` is in the embedding, the positions or the head; `second` are the second layer's options."""

    def __init__(self, mistake: str = "", second: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.mistake, self.second = mistake, second
        self.embed = layers.Embedding(WORDS, WIDTH)
        self.first_layer, self.second_layer = DecoderLayer(), DecoderLayer(**(second or {}))
        self.final = layers.LayerNormalization(epsilon=1e-5)
        self.head = layers.Dense(WORDS, use_bias=False) if mistake == "untied" else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mistake": self.mistake, "second": self.second}

    def call(self, tokens: Any) -> Any:
        x = self.embed(tokens)
        if self.mistake != "unscaled":
            x = x * WIDTH**0.5
        first = 1 if self.mistake == "late positions" else 0
        x = x + ops.cast(positions()[first : first + tokens.shape[1]], x.dtype)
        x = self.final(self.second_layer(self.first_layer(x)))
        return self.head(x) if self.head is not None else ops.matmul(x, ops.transpose(self.embed.embeddings))


def load(source: Any, target: Any) -> None:
    target.embed.set_weights([array(source.wte.weight)])
    target.final.set_weights(norm(source.ln_f))
    if target.head is not None:
        target.head.set_weights(linear(source.lm_head))
    for ours, theirs in zip(source.h, (target.first_layer, target.second_layer), strict=True):
        theirs.norm_in.set_weights(norm(ours.ln_1))
        theirs.norm_mid.set_weights(norm(ours.ln_2))
        theirs.qkv.set_weights(linear(ours.attn.c_attn))
        theirs.out.set_weights(linear(ours.attn.c_proj))
        theirs.expand.set_weights(linear(ours.mlp["fc"]))
        theirs.shrink.set_weights(linear(ours.mlp["proj"]))


CORRECT = Pair("gpt", GPT, LanguageModel, lambda rng: [rng.integers(0, WORDS, (2, LONGEST))], load)
ATTENTION = "h.1.attn|h.1.attn:scaled_dot_product_attention#0|second_layer|second_layer:softmax#0"

PAIRS = (
    CORRECT,
    CORRECT.but(
        "causal mask left out",
        ATTENTION,
        "causal|mask",
        keras=lambda: LanguageModel(second={"causal": False}),
        by="transfer",
    ),
    CORRECT.but(
        "scores not scaled",
        ATTENTION,
        "scale",
        keras=lambda: LanguageModel(second={"scaled": False}),
        by="factories",
    ),
    CORRECT.but(
        "key and value swapped",
        f"{ATTENTION}|h.1.attn.c_attn|second_layer/qkv",
        "swapped|order|key|value",
        keras=lambda: LanguageModel(second={"swapped": True}),
    ),
    CORRECT.but(
        "embedding not scaled",
        "wte|embed|:mul#0|:multiply#0|:add#0",
        "scale|times|factor|sqrt",
        keras=lambda: LanguageModel("unscaled"),
        by="factories",
    ),
    CORRECT.but(
        "positions one too late",
        ":add#0|:getitem#0|:__getitem__#0|wpe|h.0|first_layer|h.0.ln_1|first_layer/norm_in",
        "position|shift",
        keras=lambda: LanguageModel("late positions"),
    ),
    CORRECT.but(
        "head not tied", "lm_head|wte|head|embed", "tied|shared", keras=lambda: LanguageModel("untied"), seen="training"
    ),
)
