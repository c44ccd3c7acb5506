"""A translator: an encoder and a decoder of GRUs, with attention of products. Inputs by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from keras import Input, Model, layers, ops
from torch import nn

from . import Pair
from .weights import array, gru, linear


class Seq2Seq(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.src_embed, self.tgt_embed = nn.Embedding(9, 4), nn.Embedding(8, 4)
        self.encoder = nn.GRU(4, 6, batch_first=True)
        self.decoder = nn.GRU(4, 6, batch_first=True)
        self.combine = nn.Linear(12, 6)
        self.project = nn.Linear(6, 8, bias=False)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        memory, state = self.encoder(self.src_embed(source))
        hidden, _ = self.decoder(self.tgt_embed(target), state)
        scores = torch.bmm(hidden, memory.transpose(1, 2)) / 6**0.5
        scores = scores.masked_fill((source == 0)[:, None], float("-inf"))
        read = torch.bmm(scores.softmax(-1), memory)
        return self.project(torch.tanh(self.combine(torch.cat((read, hidden), -1))))


def seq2seq(*, scaled: bool = True, masked: bool = True, axis: int = -1, stateful: bool = True) -> Model:
    source, target = Input((6,), dtype="int64", name="source"), Input((5,), dtype="int64", name="target")
    memory, state = layers.GRU(6, return_sequences=True, return_state=True, name="encoder")(
        layers.Embedding(9, 4, name="source_words")(source)
    )
    words = layers.Embedding(8, 4, name="target_words")(target)
    hidden = layers.GRU(6, return_sequences=True, name="decoder")(words, initial_state=state if stateful else None)
    scores = layers.Dot(axes=2, name="scores")([hidden, memory])
    if scaled:
        scores = scores / np.sqrt(6)
    if masked:
        scores = ops.where(ops.expand_dims(ops.equal(source, 0), 1), -1e30, scores)
    weights = layers.Softmax(axis=axis, name="attention")(scores)
    read = layers.Dot(axes=(2, 1), name="context")([weights, memory])
    mixed = layers.Dense(6, activation="tanh", name="combined")(layers.Concatenate(name="both")([read, hidden]))
    return Model({"source": source, "target": target}, layers.Dense(8, use_bias=False, name="vocabulary")(mixed))


def load(source: Any, target: Any) -> None:
    target.get_layer("source_words").set_weights([array(source.src_embed.weight)])
    target.get_layer("target_words").set_weights([array(source.tgt_embed.weight)])
    target.get_layer("encoder").set_weights(gru(source.encoder))
    target.get_layer("decoder").set_weights(gru(source.decoder))
    target.get_layer("combined").set_weights(linear(source.combine))
    target.get_layer("vocabulary").set_weights(linear(source.project))


def texts(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The second source ends with padding."""
    source = rng.integers(1, 9, (2, 6))
    source[1, 4:] = 0
    return {"source": source, "target": rng.integers(1, 8, (2, 5))}


CORRECT = Pair("translation", Seq2Seq, seq2seq, texts, load)

PAIRS = (
    CORRECT,
    CORRECT.but(
        "scores not scaled",
        ":div#0|:truediv#0|:true_divide#0|:softmax#0|attention|scores|:bmm#0|:masked_fill#0",
        "scale|divide|times|factor",
        keras=lambda: seq2seq(scaled=False),
        by="transfer",
    ),
    CORRECT.but(
        "padding not masked",
        ":masked_fill#0|:softmax#0|attention",
        "mask|where",
        keras=lambda: seq2seq(masked=False),
    ),
    CORRECT.but("softmax over the wrong axis", ":softmax#0|attention", "axis", keras=lambda: seq2seq(axis=1)),
    CORRECT.but(
        "decoder starts from zeros",
        "decoder|decoder.l0",
        "initial state",
        keras=lambda: seq2seq(stateful=False),
    ),
)
