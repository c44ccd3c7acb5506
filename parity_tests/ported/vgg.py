"""A small VGG: blocks of convolutions, a flattened feature map, and two dense layers. Keras: a functional model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from keras import Input, Model, layers
from torch import nn

from . import Pair
from .weights import convolution, flattened, linear, norm


class VGG(nn.Module):
    """The head is written before the body, though it runs last."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(6 * 3 * 4, 10), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(10, classes)
        )
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


def vgg(
    *, epsilon: float = 1e-5, momentum: float = 0.9, last: str | None = "relu", rate: float = 0.5, frozen: bool = False
) -> Model:
    """The same, with activations inside the layers where Keras users put them."""
    picture = Input((12, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="block1_conv")(picture)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="block1_bn", trainable=not frozen)(x)
    x = layers.ReLU(name="block1_relu")(x)
    x = layers.MaxPooling2D(name="block1_pool")(x)
    x = layers.Conv2D(6, 3, padding="same", name="block2_conv1")(x)
    x = layers.BatchNormalization(epsilon=epsilon, momentum=momentum, name="block2_bn")(x)
    x = layers.ReLU(name="block2_relu")(x)
    x = layers.Conv2D(6, 3, padding="same", activation=last, name="block2_conv2")(x)
    x = layers.MaxPooling2D(name="block2_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(10, activation="relu", name="fc1")(x)
    x = layers.Dropout(rate, name="dropout")(x)
    return Model(picture, layers.Dense(5, name="fc2")(x), name="vgg")


def load(source: Any, target: Any) -> None:
    """Each layer by hand, with the kernel behind the feature map permuted."""
    body, head = source.features, source.classifier
    for name, index in {"block1_conv": 0, "block2_conv1": 4, "block2_conv2": 7}.items():
        target.get_layer(name).set_weights(convolution(body[index]))
    target.get_layer("block1_bn").set_weights(norm(body[1]))
    target.get_layer("block2_bn").set_weights(norm(body[5]))
    target.get_layer("fc1").set_weights(flattened(head[1], 6, 3, 4))
    target.get_layer("fc2").set_weights(linear(head[4]))


def load_unpermuted(source: Any, target: Any) -> None:
    load(source, target)
    target.get_layer("fc1").set_weights(linear(source.classifier[1]))


def load_without_statistics(source: Any, target: Any) -> None:
    load(source, target)
    target.get_layer("block1_bn").set_weights([*norm(source.features[1])[:2], np.zeros(4), np.ones(4)])


def load_without_a_bias(source: Any, target: Any) -> None:
    load(source, target)
    target.get_layer("block2_conv2").bias.assign(np.zeros(6))


def load_a_turned_kernel(source: Any, target: Any) -> None:
    """Height and width of a square kernel, by the reverse of its axes."""
    load(source, target)
    target.get_layer("block2_conv1").kernel.assign(source.features[4].weight.detach().numpy().T)


SMALL = Pair("vgg", VGG, vgg, lambda rng: [rng.normal(size=(3, 12, 16, 3)).astype("float32")], load)

PAIRS = (
    SMALL,
    SMALL.but(
        "batch norm epsilon",
        "features.5|block2_bn",
        "epsilon",
        keras=lambda: vgg(epsilon=1e-3),
        by="factories",
    ),
    SMALL.but(
        "batch norm momentum",
        "features.5|block2_bn",
        "momentum",
        keras=lambda: vgg(momentum=0.99),
        seen="training",
    ),
    SMALL.but(
        "frozen batch norm",
        "features.1|block1_bn",
        "frozen|trainable|inference|statistics",
        keras=lambda: vgg(frozen=True),
        seen="training",
    ),
    SMALL.but(
        "activation left out",
        "features.8|block2_conv2|block2_conv2:activation",
        "relu",
        keras=lambda: vgg(last=None),
        by="transfer",
    ),
    SMALL.but("dropout rate", "classifier.3|dropout", "dropout|rate", keras=lambda: vgg(rate=0.3), seen="never"),
    SMALL.but("flatten order", "classifier.1|fc1", "flatten|channels height width", load=load_unpermuted),
    SMALL.but("statistics not copied", "features.1|block1_bn", "0 all over|1 all over", load=load_without_statistics),
    SMALL.but("bias not copied", "features.7|block2_conv2", "0 all over", load=load_without_a_bias),
    SMALL.but("square kernel transposed", "features.4|block2_conv1", "swapped|transposed", load=load_a_turned_kernel),
)
