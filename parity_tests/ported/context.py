"""Dilated and grouped convolutions, leaky units. Keras: functional, with activations as layers of their own."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from keras import Input, Model, layers
from torch import nn

from . import Pair
from .weights import array, convolution


class Context(nn.Module):
    """Per-pixel scores from a growing field of view; the second convolution has two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.d1 = nn.Conv2d(3, 6, 3, padding=1)
        self.d2 = nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=2)
        self.d4 = nn.Conv2d(6, 6, 3, padding=4, dilation=4)
        self.slope = nn.PReLU(6)
        self.score = nn.Conv2d(6, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.leaky_relu(self.d1(x), 0.1)
        x = F.elu(self.d2(x))
        x = self.slope(self.d4(x))
        return torch.softmax(self.score(x), dim=1)


def context(*, slope: float = 0.1, alpha: float = 1.0, dilation: int = 4, axis: int = -1) -> Model:
    """The same, to be had with any of four mistakes."""
    picture = Input((10, 10, 3), name="picture")
    x = layers.Conv2D(6, 3, padding="same", name="context_a")(picture)
    x = layers.LeakyReLU(negative_slope=slope, name="leaky")(x)
    x = layers.Conv2D(6, 3, padding="same", dilation_rate=2, groups=2, name="context_b")(x)
    x = layers.ELU(alpha=alpha, name="elu")(x)
    x = layers.Conv2D(6, 3, padding="same", dilation_rate=dilation, name="context_c")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(x)
    x = layers.Conv2D(2, 1, name="scores")(x)
    return Model(picture, layers.Softmax(axis=axis, name="probabilities")(x))


def load(source: Any, target: Any) -> None:
    for ours, name in ((source.d1, "context_a"), (source.d2, "context_b"), (source.d4, "context_c")):
        target.get_layer(name).set_weights(convolution(ours))
    target.get_layer("prelu").set_weights([array(source.slope.weight).reshape(1, 1, 6)])
    target.get_layer("scores").set_weights(convolution(source.score))


CORRECT = Pair("context", Context, context, lambda rng: [rng.normal(size=(2, 10, 10, 3)).astype("float32")], load)

PAIRS = (
    CORRECT,
    CORRECT.but("leaky slope", ":leaky_relu#0|leaky", "slope", keras=lambda: context(slope=0.3), by="factories"),
    CORRECT.but("ELU alpha", ":elu#0|elu", "alpha", keras=lambda: context(alpha=0.5), by="transfer"),
    CORRECT.but(
        "dilation left out", "d4|context_c", "dilation|padding", keras=lambda: context(dilation=1), by="transfer"
    ),
    CORRECT.but(
        "softmax over the wrong axis", ":softmax#0|probabilities", "axis", keras=lambda: context(axis=1), by="factories"
    ),
)
