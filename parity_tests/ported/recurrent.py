"""Classifiers of sequences with LSTM and GRU, of one direction and of two."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
from keras import Input, Model, Sequential, layers
from torch import nn

from . import Inputs, Pair
from .weights import array, gru, linear, lstm, recurrent_weights


class Sentiment(nn.Module):
    """Tokens, an embedding, an LSTM, and a linear layer of its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 2)
        self.rnn = nn.LSTM(4, 5, batch_first=True)
        self.emb = nn.Embedding(11, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        _, (last, _) = self.rnn(self.emb(tokens))
        return self.fc(last[-1])


def sentiment() -> Model:
    return Sequential(
        [
            Input((6,), dtype="int64"),
            layers.Embedding(11, 4, name="words"),
            layers.LSTM(5, name="reader"),
            layers.Dense(2, name="verdict"),
        ]
    )


def load_sentiment(source: Any, target: Any) -> None:
    target.get_layer("words").set_weights([array(source.emb.weight)])
    target.get_layer("reader").set_weights(lstm(source.rnn))
    target.get_layer("verdict").set_weights(linear(source.fc))


def load_other_gates(source: Any, target: Any) -> None:
    """As if Keras's cell and output gates stood the other way round."""
    load_sentiment(source, target)
    shuffled = []
    for weight in target.get_layer("reader").get_weights():
        one, two, three, four = np.split(weight, 4, axis=-1)
        shuffled.append(np.concatenate([one, two, four, three], axis=-1))
    target.get_layer("reader").set_weights(shuffled)


def load_one_bias(source: Any, target: Any) -> None:
    """Of PyTorch's two biases, the first."""
    load_sentiment(source, target)
    target.get_layer("reader").cell.bias.assign(array(source.rnn.bias_ih_l0))


def load_forget_bias(source: Any, target: Any) -> None:
    """As if Keras's `unit_forget_bias` had to be added to a trained bias."""
    load_sentiment(source, target)
    bias = lstm(source.rnn)[2]
    target.get_layer("reader").cell.bias.assign(bias + np.repeat([0.0, 1.0, 0.0, 0.0], 5))


class Tagger(nn.Module):
    """A GRU of both directions over frames, its mean over time, and a linear layer."""

    def __init__(self, *, last: bool = False) -> None:
        super().__init__()
        self.last = last
        self.gru = nn.GRU(3, 4, batch_first=True, bidirectional=True)
        self.out = nn.Linear(8, 3)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        states, _ = self.gru(frames)
        return self.out(states[:, -1] if self.last else states.mean(1))


def tagger(*, last: bool = False, reset_after: bool = True) -> Model:
    frames = Input((7, 3))
    cell = layers.GRU(4, return_sequences=not last, reset_after=reset_after)
    x = layers.Bidirectional(cell, name="both_ways")(frames)
    if not last:
        x = layers.GlobalAveragePooling1D(name="over_time")(x)
    return Model(frames, layers.Dense(3, name="tags")(x))


def load_tagger(source: Any, target: Any) -> None:
    target.get_layer("both_ways").set_weights([*gru(source.gru), *gru(source.gru, "l0_reverse")])
    target.get_layer("tags").set_weights(linear(source.out))


def load_swapped_halves(source: Any, target: Any) -> None:
    load_tagger(source, target)
    target.get_layer("both_ways").set_weights([*gru(source.gru, "l0_reverse"), *gru(source.gru)])


def load_unswapped_gates(source: Any, target: Any) -> None:
    """PyTorch's order of the gates, reset before update, taken over as it is."""
    load_tagger(source, target)
    own = [weight.T for suffix in ("l0", "l0_reverse") for weight in recurrent_weights(source.gru, suffix)]
    first, second = own[:4], own[4:]
    both = [[kernel, recurrent, np.stack(biases)] for kernel, recurrent, *biases in (first, second)]
    target.get_layer("both_ways").set_weights([*both[0], *both[1]])


def load_summed_biases(source: Any, target: Any) -> None:
    """All that a GRU without `reset_after` has room for."""
    own = []
    for suffix in ("l0", "l0_reverse"):
        kernel, recurrent, biases = gru(source.gru, suffix)
        own += [kernel, recurrent, biases.sum(0)]
    target.get_layer("both_ways").set_weights(own)
    target.get_layer("tags").set_weights(linear(source.out))


class Stacked(nn.Module):
    """Two layers of LSTM with time first, and dropout between them; scores for every step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, dropout=0.2)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(x.transpose(0, 1))
        return self.head(states).transpose(0, 1)


@keras.saving.register_keras_serializable("recurrent")
class TwoLayers(keras.Model):
    def __init__(self, act: str = "tanh", **options: Any) -> None:
        super().__init__(**options)
        self.act = act
        self.lower = layers.LSTM(4, return_sequences=True)
        self.drop = layers.Dropout(0.2)
        self.upper = layers.LSTM(4, return_sequences=True, activation=act)
        self.score = layers.TimeDistributed(layers.Dense(2))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "act": self.act}

    def call(self, x: Any, training: bool = False) -> Any:
        return self.score(self.upper(self.drop(self.lower(x), training=training)))


def load_stacked(source: Any, target: Any) -> None:
    target.lower.set_weights(lstm(source.lstm, "l0"))
    target.upper.set_weights(lstm(source.lstm, "l1"))
    target.score.set_weights(linear(source.head))


def frames(size: int) -> Any:
    return lambda rng: [rng.normal(size=(3, size, 3)).astype("float32")]


def as_they_are(given: Inputs) -> Inputs:
    """The same in both frameworks."""
    return given


READER = Pair("sentiment", Sentiment, sentiment, lambda rng: [rng.integers(0, 11, (3, 6))], load_sentiment)
TAGGER = Pair("tagger", Tagger, tagger, frames(7), load_tagger, torch_inputs=as_they_are)
STACKED = Pair("stacked LSTM", Stacked, TwoLayers, frames(5), load_stacked, torch_inputs=as_they_are, by="transfer")
LSTM, GRU = "rnn|rnn.l0|reader", "gru|gru.l0|gru.l0_reverse|both_ways|both_ways/forward_gru|both_ways/backward_gru"
GRU += "|both_ways/forward|both_ways/backward|both_ways/forward_layer|both_ways/backward_layer"

PAIRS = (
    READER,
    READER.but("gates in another order", LSTM, "gate", load=load_other_gates),
    READER.but("one of two biases", LSTM, "`rnn.bias_ih_l0`|one of|half", load=load_one_bias),
    READER.but("forget bias added again", LSTM, "forget", load=load_forget_bias),
    TAGGER,
    TAGGER.but("reset and update gates swapped", GRU, "gate", load=load_unswapped_gates),
    TAGGER.but("halves swapped", GRU, "halves|revers|direction|from the last step", load=load_swapped_halves),
    TAGGER.but(
        "reset before the product", GRU, "reset_after", keras=lambda: tagger(reset_after=False), load=load_summed_biases
    ),
    TAGGER.but(
        "last step of both directions",
        f"{GRU}|:getitem#0|:__getitem__#0|tags|out",
        "first step|final|return_sequences|slice|last state",
        torch=lambda: Tagger(last=True),
        keras=lambda: tagger(last=True),
    ),
    STACKED,
    STACKED.but(
        "activation of a cell", "lstm.l1|lstm|upper", "activation|relu", keras=lambda: TwoLayers("relu"), by="hand"
    ),
)
