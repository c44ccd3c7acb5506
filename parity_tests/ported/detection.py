"""Heads on maps of two sizes, with a learnt number each. Keras: a functional model, whose branches run by turns."""

from __future__ import annotations

from typing import Any

import keras
import torch
from keras import layers, ops
from torch import nn

from . import Pair
from .weights import array, convolution

CLASSES = 3


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c3, self.c4 = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)
        self.heads = nn.ModuleList([nn.Conv2d(channels, 4 + CLASSES, 1) for channels in (6, 8)])
        self.scales = nn.ParameterList([nn.Parameter(torch.tensor(1.0)) for _ in range(2)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        first = torch.relu(self.c3(x))
        raw, found = [], []
        for number, feature in enumerate((first, torch.relu(self.c4(first)))):
            y = self.heads[number](feature).permute(0, 2, 3, 1)
            raw.append(y)
            y = torch.sigmoid(y * self.scales[number])
            centre, size = (y[..., 0:2] * 2 - 0.5) * 2 ** (number + 1), (y[..., 2:4] * 2) ** 2
            found.append(torch.cat((centre, size, y[..., 4:]), dim=-1).flatten(1, 2))
        return torch.cat(found, dim=1), raw


class Times(layers.Layer):
    def build(self, shape: Any) -> None:
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

    def call(self, x: Any) -> Any:
        return x * self.factor


def detector(offset: float = 0.5, power: int = 2) -> Any:
    image = keras.Input((8, 12, 3))
    p3 = layers.Conv2D(6, 3, 2, activation="relu", name="p3")(layers.ZeroPadding2D(1)(image))
    p4 = layers.Conv2D(8, 3, 2, activation="relu", name="p4")(layers.ZeroPadding2D(1)(p3))
    raw = [layers.Conv2D(4 + CLASSES, 1, name=f"head{number}")(map_) for number, map_ in enumerate((p3, p4))]
    found = []
    for number, y in enumerate(raw):
        y = ops.sigmoid(Times(name=f"times{number}")(y))
        centre, size = (y[..., 0:2] * 2 - offset) * 2.0 ** (number + 1), (y[..., 2:4] * 2) ** power
        joined = ops.concatenate([centre, size, y[..., 4:]], axis=-1)
        found.append(layers.Reshape((-1, 4 + CLASSES), name=f"flat{number}")(joined))
    return keras.Model(image, [layers.Concatenate(axis=1, name="boxes")(found), *raw])


def load(source: Any, target: Any) -> None:
    for number, name in enumerate(("c3", "c4")):
        target.get_layer(f"p{number + 3}").set_weights(convolution(getattr(source, name)))
        target.get_layer(f"head{number}").set_weights(convolution(source.heads[number]))
        target.get_layer(f"times{number}").set_weights([array(source.scales[number])])


CORRECT = Pair(
    "detection",
    Detector,
    detector,
    lambda rng: [rng.normal(size=(2, 8, 12, 3)).astype("float32")],
    load,
    by="transfer",
)

PAIRS = (
    CORRECT,
    CORRECT.but("no offset", ":sub#0|:sub#1", "-0.5", keras=lambda: detector(offset=0.0)),
    CORRECT.but("size not squared", ":pow#0|:pow#1", "square|power|pow", keras=lambda: detector(power=1)),
)
