"""Convolutional blocks of the schools: squeeze-and-excitation, dense connections, and parallel branches."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from keras import Input, Model, Sequential, layers
from torch import nn

from . import Pair
from .weights import convolution, linear, norm


class SqueezeExcite(nn.Module):
    """Hu et al. (2018), with 1 x 1 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.up(F.silu(self.down(scale))))


class Efficient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        self.excite = SqueezeExcite(6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.norm1(self.conv1(x)))
        x = x + self.excite(F.silu(self.norm2(self.conv2(x))))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


def efficient(*, gate: str = "sigmoid", act: str = "silu", pooled: Any = layers.GlobalAveragePooling2D) -> Model:
    """Squeeze-and-excitation by dense layers; `pooled` is the last pooling."""
    picture = Input((10, 8, 3))
    x = layers.ZeroPadding2D(1, name="stem_pad")(picture)
    x = layers.Conv2D(6, 3, strides=2, use_bias=False, name="stem_conv")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="stem_bn")(x)
    x = layers.Activation("silu", name="stem_act")(x)
    y = layers.Conv2D(6, 3, padding="same", use_bias=False, name="block_conv")(x)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="block_bn")(y)
    y = layers.Activation("silu", name="block_act")(y)
    s = layers.GlobalAveragePooling2D(name="squeeze")(y)
    s = layers.Dense(2, activation=act, name="se_reduce")(s)
    s = layers.Dense(6, activation=gate, name="se_expand")(s)
    y = layers.Multiply(name="excite")([y, layers.Reshape((1, 1, 6), name="se_shape")(s)])
    x = layers.Add(name="block_add")([x, y])
    return Model(picture, layers.Dense(3, name="top")(pooled(name="top_pool")(x)))


def load_efficient(source: Any, target: Any) -> None:
    target.get_layer("stem_conv").set_weights(convolution(source.conv1))
    target.get_layer("block_conv").set_weights(convolution(source.conv2))
    target.get_layer("stem_bn").set_weights(norm(source.norm1))
    target.get_layer("block_bn").set_weights(norm(source.norm2))
    for name, ours in {"se_reduce": source.excite.down, "se_expand": source.excite.up}.items():
        kernel, bias = convolution(ours)
        target.get_layer(name).set_weights([kernel[0, 0], bias])
    target.get_layer("top").set_weights(linear(source.fc))


class DenseNet(nn.Module):
    """Each layer reads all before it; a transition halves the size."""

    def __init__(self) -> None:
        super().__init__()
        widths = (4, 6, 8)
        self.conv0 = nn.Conv2d(3, 4, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.convs = nn.ModuleList(nn.Conv2d(width, 2, 3, padding=1, bias=False) for width in widths)
        self.transition = nn.Conv2d(10, 5, 1)
        self.final = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = [self.conv0(x)]
        for norm_, conv in zip(self.norms, self.convs, strict=True):
            features.append(conv(F.relu(norm_(torch.cat(features, 1)))))
        x = F.avg_pool2d(self.transition(torch.cat(features, 1)), 2)
        return self.final(x.mean([-2, -1]))


def densenet(*, newest_first: bool = False, epsilon: float = 1e-5) -> Model:
    """`newest_first` turns the order of the last concatenation."""
    picture = Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="initial")(picture)
    for index in range(3):
        y = layers.BatchNormalization(momentum=0.9, epsilon=epsilon if index == 1 else 1e-5, name=f"dense_bn_{index}")(
            x
        )
        y = layers.Activation("relu", name=f"dense_relu_{index}")(y)
        y = layers.Conv2D(2, 3, padding="same", use_bias=False, name=f"dense_conv_{index}")(y)
        x = layers.Concatenate(name=f"dense_concat_{index}")([y, x] if newest_first and index == 2 else [x, y])
    x = layers.AveragePooling2D(2, name="halve")(layers.Conv2D(5, 1, name="compress")(x))
    return Model(picture, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D(name="global")(x)))


def load_densenet(source: Any, target: Any) -> None:
    target.get_layer("initial").set_weights(convolution(source.conv0))
    for index in range(3):
        target.get_layer(f"dense_bn_{index}").set_weights(norm(source.norms[index]))
        target.get_layer(f"dense_conv_{index}").set_weights(convolution(source.convs[index]))
    target.get_layer("compress").set_weights(convolution(source.transition))
    target.get_layer("out").set_weights(linear(source.final))


class Inception(nn.Module):
    """Four branches of one picture; `padded` counts the padding in the average, which is PyTorch's default."""

    def __init__(self, *, padded: bool = False) -> None:
        super().__init__()
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=padded), nn.Conv2d(3, 2, 1))
        self.b1 = nn.Conv2d(3, 2, 1)
        self.b3 = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1))
        self.b5 = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 5, padding=2))
        self.fc = nn.Conv2d(9, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([self.b1(x), self.b3(x), self.b5(x), self.pooled(x)], dim=1)
        return F.max_pool2d(self.fc(torch.relu(y)), 2)


def inception(*, act: str | None = "relu", swapped: bool = False, pool: int = 2) -> Model:
    """A model of sequential models; `swapped` changes the places of two branches."""
    picture = Input((8, 6, 3), name="picture")
    one = layers.Conv2D(2, 1, name="branch1")(picture)
    three = Sequential([layers.Conv2D(2, 1, activation=act), layers.Conv2D(3, 3, padding="same")], name="branch3")(
        picture
    )
    five = Sequential([layers.Conv2D(2, 1, activation="relu"), layers.Conv2D(2, 5, padding="same")], name="branch5")(
        picture
    )
    mean = layers.AveragePooling2D(3, 1, padding="same", name="branch_mean")(picture)
    mean = layers.Conv2D(2, 1, name="branch_pool")(mean)
    x = layers.Concatenate(name="merged")([one, three, mean, five] if swapped else [one, three, five, mean])
    x = layers.Conv2D(2, 1, name="scores")(layers.ReLU(name="rectified")(x))
    return Model(picture, layers.MaxPooling2D(2, pool, name="maxima")(x))


def load_inception(source: Any, target: Any) -> None:
    target.get_layer("branch1").set_weights(convolution(source.b1))
    for name, ours in {"branch3": source.b3, "branch5": source.b5}.items():
        target.get_layer(name).set_weights([*convolution(ours[0]), *convolution(ours[2])])
    target.get_layer("branch_pool").set_weights(convolution(source.pooled[1]))
    target.get_layer("scores").set_weights(convolution(source.fc))


def pictures(height: int, width: int) -> Any:
    return lambda rng: [rng.normal(size=(2, height, width, 3)).astype("float32")]


EFFICIENT = Pair("efficient", Efficient, efficient, pictures(10, 8), load_efficient)
DENSENET = Pair("densenet", DenseNet, densenet, pictures(8, 8), load_densenet, by="transfer")
INCEPTION = Pair("inception", Inception, inception, pictures(8, 6), load_inception)

PAIRS = (
    EFFICIENT,
    EFFICIENT.but(
        "hard sigmoid for sigmoid",
        "excite:sigmoid#0|se_expand:activation|se_expand",
        "hard_sigmoid|hard sigmoid",
        keras=lambda: efficient(gate="hard_sigmoid"),
        by="transfer",
    ),
    EFFICIENT.but(
        "relu for silu", "excite:silu#0|se_reduce:activation|se_reduce", "silu", keras=lambda: efficient(act="relu")
    ),
    EFFICIENT.but(
        "maximum for average",
        ":adaptive_avg_pool2d#0|top_pool",
        "max",
        keras=lambda: efficient(pooled=layers.GlobalMaxPooling2D),
    ),
    DENSENET,
    DENSENET.but(
        "newest features first",
        ":cat#2|:cat#3|dense_concat_2|transition|compress",
        "order|concat",
        keras=lambda: densenet(newest_first=True),
        by="hand",
    ),
    DENSENET.but("batch norm epsilon", "norms.1|dense_bn_1", "epsilon", keras=lambda: densenet(epsilon=1e-3)),
    INCEPTION,
    INCEPTION.but(
        "average counts the padding",
        "pooled.0|branch_mean",
        "padding|padded|count",
        torch=lambda: Inception(padded=True),
        by="transfer",
    ),
    INCEPTION.but(
        "activation in a branch left out",
        "b3.1|branch3/conv2d|branch3/conv2d:activation|branch3",
        "relu",
        keras=lambda: inception(act=None),
    ),
    INCEPTION.but(
        "two branches swapped", ":cat#0|merged", "order|concat", keras=lambda: inception(swapped=True), by="transfer"
    ),
)
