"""A CRNN: a picture of text becomes a sequence of its columns. PyTorch has time first, Keras behind the batch."""

from __future__ import annotations

from typing import Any

import torch
from keras import Input, Model, layers
from torch import nn

from . import Pair
from .weights import convolution, flattened, gru, linear


class CRNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d((2, 1)))
        self.map = nn.Linear(4 * 4, 6)
        self.rnn = nn.GRU(6, 5, bidirectional=True)
        self.fc = nn.Linear(10, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.cnn(x)  # (N, 4, 4, W)
        x = x.permute(3, 0, 1, 2).flatten(2)  # (W, N, 16)
        x, _ = self.rnn(torch.tanh(self.map(x)))
        return torch.log_softmax(self.fc(x), dim=2)


def crnn(*, turned: bool = False, act: str = "log_softmax") -> Model:
    """`turned` pictures are read down instead of across, which square ones allow."""
    picture = Input((8, 8, 1))
    x = layers.Permute((2, 1, 3), name="turn")(picture) if turned else picture
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    x = layers.MaxPool2D((2, 1), name="pool")(x)
    x = layers.Permute((2, 1, 3), name="columns_first")(x)
    x = layers.Reshape((8, 16), name="columns")(x)
    x = layers.Dense(6, activation="tanh", name="squash")(x)
    x = layers.Bidirectional(layers.GRU(5, return_sequences=True), name="bigru")(x)
    return Model(picture, layers.Dense(7, activation=act, name="letters")(x))


def load(source: Any, target: Any) -> None:
    target.get_layer("conv").set_weights(convolution(source.cnn[0]))
    target.get_layer("squash").set_weights(flattened(source.map, 4, 4))
    target.get_layer("bigru").set_weights([*gru(source.rnn), *gru(source.rnn, "l0_reverse")])
    target.get_layer("letters").set_weights(linear(source.fc))


def load_unpermuted(source: Any, target: Any) -> None:
    load(source, target)
    target.get_layer("squash").set_weights(linear(source.map))


CORRECT = Pair("crnn", CRNN, crnn, lambda rng: [rng.normal(size=(2, 8, 8, 1)).astype("float32")], load)

PAIRS = (
    CORRECT,
    CORRECT.but(
        "columns flattened in another order", "map|squash", "flatten|height and channels", load=load_unpermuted
    ),
    CORRECT.but(
        "height and width swapped",
        "cnn.0|turn|conv",
        "swapped|transpos|height|permut",
        keras=lambda: crnn(turned=True),
    ),
    CORRECT.but(
        "softmax for its logarithm",
        ":log_softmax#0|letters:activation|letters",
        "softmax",
        keras=lambda: crnn(act="softmax"),
        by="transfer",
    ),
)
