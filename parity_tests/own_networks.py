"""Networks that Diglot has never seen, the same on both sides, and what to train them with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
from diglot.core.data import Data
from diglot.core.recipe import Recipe
from diglot.keras_impl import trainer as keras_trainer
from diglot.keras_impl.precision import precision
from diglot.torch_impl import trainer as torch_trainer
from torch import nn

from .composed import technique

SIDES = ("torch", "keras")


TRAINERS = {"torch": torch_trainer, "keras": keras_trainer}


FILES = {"torch": "torch.pt", "keras": "keras.safetensors"}


CLASSES, FEATURES = 3, 4


def own_network(side: str, width: int = 8) -> Any:
    """A network that Diglot has never seen, with the same weights on both sides."""
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((FEATURES, width)) / 2, rng.standard_normal((width, CLASSES)) / 2
    if side == "torch":
        network = nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, CLASSES)).double()
        with torch.no_grad():
            for layer, kernel in zip((network[0], network[2]), kernels, strict=True):
                layer.weight.copy_(torch.tensor(kernel.T))  # (in, out) -> (out, in)
                layer.bias.zero_()
        return network
    with precision("float64"):
        dense = [keras.layers.Dense(units, name=name) for units, name in ((width, "first"), (CLASSES, "last"))]
        model = keras.Sequential([keras.Input((FEATURES,)), dense[0], keras.layers.ReLU(), dense[1]])
    model.set_weights([kernels[0], np.zeros(width), kernels[1], np.zeros(CLASSES)])
    return model


def own_data(samples: int = 50, held_out: bool = True) -> Data:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((samples, FEATURES))
    y = (x @ rng.standard_normal((FEATURES, CLASSES))).argmax(-1)
    return Data(x[10:], y[10:], (x[:10], y[:10]) if held_out else None)


def plain(**others: Any) -> Recipe:
    optimizer = technique("adam", learning_rate=0.0625)
    return Recipe(**{"optimizer": optimizer, "loss": technique("cross_entropy"), **others})


def weights_of(side: str, network: Any) -> list[np.ndarray]:
    return [w.detach().numpy() for w in network.parameters()] if side == "torch" else network.get_weights()


def parameters(side: str, network: Any) -> list[Any]:
    return list(network.parameters()) if side == "torch" else network.weights
