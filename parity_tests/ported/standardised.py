"""Weights that a module computes with before it convolves. Keras: one layer of its own that does the same."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from keras import Sequential, layers, ops
from torch import nn

from . import Pair
from .weights import array


class Standardised(nn.Conv2d):
    """Weight standardisation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.weight.mean(dim=(1, 2, 3), keepdim=True)
        variance = self.weight.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
        weight = (self.weight - mean) / torch.sqrt(variance + 1e-10)
        return F.conv2d(x, weight, self.bias, padding=1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = Standardised(3, 6, 3), nn.Parameter(torch.zeros(1, 6, 1, 1))
        self.weight, self.mix = nn.Parameter(torch.randn(6, 6, 3, 3)), nn.Parameter(torch.randn(4, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        y = F.conv2d(x, self.weight, padding=1) * torch.sigmoid(self.gate) + x
        return torch.einsum("nchw,oc->no", y, self.mix)


class StandardisedConv(layers.Layer):
    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 6), name="kernel")
        self.bias = self.add_weight(shape=(6,), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        mean = ops.mean(self.kernel, axis=(0, 1, 2), keepdims=True)
        variance = ops.var(self.kernel, axis=(0, 1, 2), keepdims=True)
        return ops.conv(x, (self.kernel - mean) / ops.sqrt(variance + 1e-10), padding="same") + self.bias


class Gated(layers.Layer):
    def __init__(self, skip: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.skip = skip

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(3, 3, 6, 6), name="kernel")
        self.gate = self.add_weight(shape=(6,), initializer="zeros", name="gate")
        self.mix = self.add_weight(shape=(6, 4), name="mix")

    def call(self, x: Any) -> Any:
        y = ops.conv(x, self.kernel, padding="same") * ops.sigmoid(self.gate)
        y = y + x if self.skip else y
        return ops.einsum("nhwc,co->no", y, self.mix)


def net(**options: Any) -> Any:
    return Sequential([StandardisedConv(name="stem"), Gated(name="rest", **options)])


def load(source: Any, target: Any) -> None:
    stem, rest = target.layers
    stem.set_weights([array(source.first.weight).transpose(2, 3, 1, 0), array(source.first.bias)])
    kernel, gate = array(source.weight).transpose(2, 3, 1, 0), array(source.gate).reshape(-1)
    rest.set_weights([kernel, gate, array(source.mix).T])


CORRECT = Pair("standardised", Net, net, lambda rng: [rng.normal(size=(2, 5, 7, 3)).astype("float32")], load)

PAIRS = (
    CORRECT,
    CORRECT.but("no skip", ":add#0", "addition|adds", keras=lambda: net(skip=False)),
)
