"""A small residual network. PyTorch: functions in `forward`. Keras: subclassed layers and a subclassed model."""

from __future__ import annotations

from typing import Any

import keras
import torch
import torch.nn.functional as F
from keras import layers
from torch import nn

from . import Pair
from .weights import convolution, linear, norm


class Block(nn.Module):
    """Two convolutions, the first with a stride, and a projected shortcut where the size changes."""

    def __init__(self, fan_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(fan_in, width, 1, stride, bias=False) if stride > 1 else nn.Identity()
        self.conv1 = nn.Conv2d(fan_in, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layer1 = Block(4, 4, 1)
        self.layer2 = Block(4, 6, 2)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.logsigmoid(self.stem(x)), 3, stride=2, padding=1)  # all negative
        x = self.layer2(self.layer1(x))
        return self.fc(x.mean(dim=(2, 3)))


@keras.saving.register_keras_serializable("residual")
class Unit(layers.Layer):
    """A block; `mistake` is what a port got wrong."""

    def __init__(self, width: int, stride: int = 1, mistake: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.width, self.stride, self.mistake = width, stride, mistake
        same = stride == 1 or mistake == "same"
        self.pad = layers.ZeroPadding2D(0 if same else 1)
        self.first = layers.Conv2D(width, 3, stride, padding="same" if same else "valid", use_bias=False)
        self.norm1 = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        self.second = layers.Conv2D(width, 3, padding="same", use_bias=False)
        self.norm2 = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        self.skip = layers.Conv2D(width, 1, stride, use_bias=False) if stride > 1 else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "stride": self.stride, "mistake": self.mistake}

    def call(self, x: Any, training: bool = False) -> Any:
        y = keras.ops.relu(self.norm1(self.first(self.pad(x)), training=training))
        y = self.norm2(self.second(y), training=training)
        if self.mistake == "no shortcut":
            return keras.ops.relu(y)
        short = x if self.skip is None else self.skip(x)
        if self.mistake == "late shortcut":
            return keras.ops.relu(y) + short
        return keras.ops.relu(y + short)


@keras.saving.register_keras_serializable("residual")
class ResNet(keras.Model):
    def __init__(self, mistake: str = "", where: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.mistake, self.where = mistake, where
        self.conv = layers.Conv2D(4, 3, padding="same", activation="log_sigmoid")
        self.border = layers.ZeroPadding2D(1) if mistake == "zeros" else None
        self.pool = layers.MaxPooling2D(3, 2, padding="valid" if mistake == "zeros" else "same")
        self.stages = [Unit(4, 1, mistake if where == 1 else ""), Unit(6, 2, mistake if where == 2 else "")]
        self.average = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mistake": self.mistake, "where": self.where}

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.conv(x)
        if self.border is not None:
            x = self.pool(self.border(x))
        elif self.mistake == "same pool":
            x = self.pool(x)
        else:  # as PyTorch pads: minus infinity on both sides
            x = keras.ops.max_pool(keras.ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1e9), 3, 2)
        for stage in self.stages:
            x = stage(x, training=training)
        return self.head(self.average(x))


def load(source: Any, target: Any) -> None:
    target.conv.set_weights(convolution(source.stem))
    for ours, theirs in zip((source.layer1, source.layer2), target.stages, strict=True):
        theirs.first.set_weights(convolution(ours.conv1))
        theirs.second.set_weights(convolution(ours.conv2))
        theirs.norm1.set_weights(norm(ours.bn1))
        theirs.norm2.set_weights(norm(ours.bn2))
        if theirs.skip is not None:
            theirs.skip.set_weights(convolution(ours.shortcut))
    target.head.set_weights(linear(source.fc))


def load_swapped(source: Any, target: Any) -> None:
    load(source, target)
    target.stages[0].first.set_weights(convolution(source.layer1.conv2))
    target.stages[0].second.set_weights(convolution(source.layer1.conv1))


CORRECT = Pair("residual", Net, ResNet, lambda rng: [rng.normal(size=(2, 12, 8, 3)).astype("float32")], load)

PAIRS = (
    CORRECT,
    CORRECT.but(
        "'same' padding with a stride",
        "layer2.conv1|stages/1/first",
        "padding",
        keras=lambda: ResNet("same", 2),
        by="factories",
    ),
    CORRECT.but(
        "zeros around maximum pooling",
        ":max_pool2d#0|pool|border",
        "padding|pad",
        keras=lambda: ResNet("zeros"),
        by="factories",
    ),
    CORRECT.but("'same' maximum pooling", ":max_pool2d#0|pool", "padding", keras=lambda: ResNet("same pool")),
    CORRECT.but(
        "shortcut left out",
        "layer1|stages/0|layer1:add#0|layer1:relu#1|stages/0:relu#1",
        "add|residual|shortcut",
        keras=lambda: ResNet("no shortcut", 1),
        by="transfer",
    ),
    CORRECT.but(
        "shortcut added behind the activation",
        "layer2|stages/1|layer2:add#0|layer2:relu#1|stages/1:relu#1|stages/1:add#0",
        "add|relu|order",
        keras=lambda: ResNet("late shortcut", 2),
        by="transfer",
    ),
    CORRECT.but(
        "two kernels swapped",
        "layer1.conv1|layer1.conv2|stages/0/first|stages/0/second",
        "swapped",
        load=load_swapped,
    ),
)
