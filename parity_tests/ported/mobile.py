"""Depthwise-separable convolutions. Keras: a sequential model, and one with `SeparableConv2D`."""

from __future__ import annotations

from typing import Any

import torch
from keras import Input, Sequential, layers
from torch import nn

from . import Pair
from .weights import convolution, depthwise, linear, norm


def separable(fan_in: int, width: int, act: type[nn.Module]) -> nn.Sequential:
    """Depthwise, then pointwise."""
    return nn.Sequential(
        nn.Conv2d(fan_in, fan_in, 3, padding=1, groups=fan_in, bias=False),
        nn.BatchNorm2d(fan_in, eps=1e-3, momentum=0.01),
        act(),
        nn.Conv2d(fan_in, width, 1, bias=False),
        nn.BatchNorm2d(width, eps=1e-3, momentum=0.01),
        act(),
    )


class MobileNet(nn.Module):
    def __init__(self, act: type[nn.Module] = nn.ReLU6) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([separable(3, 6, act), separable(6, 8, act)])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.out = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(4 * x)
        return self.out(self.pool(x).flatten(1))


def mobilenet(second: Any = lambda: layers.ReLU(6.0, name="act4"), *, act: Any = lambda: layers.ReLU(6.0)) -> Any:
    """Batch normalisation at Keras's defaults, which PyTorch's side was given. The factor 4 keeps ReLU6 busy."""
    return Sequential(
        [
            Input((8, 8, 3)),
            layers.Rescaling(4.0),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="dw1"),
            layers.BatchNormalization(name="bn1"),
            act(),
            layers.Conv2D(6, 1, use_bias=False, name="pw1"),
            layers.BatchNormalization(name="bn2"),
            act(),
            layers.Rescaling(4.0),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="dw2"),
            layers.BatchNormalization(name="bn3"),
            act(),
            layers.Conv2D(8, 1, use_bias=False, name="pw2"),
            layers.BatchNormalization(name="bn4"),
            second(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, name="logits"),
        ]
    )


def load(source: Any, target: Any) -> None:
    for index, block in enumerate(source.blocks):
        target.get_layer(f"dw{index + 1}").set_weights(depthwise(block[0]))
        target.get_layer(f"pw{index + 1}").set_weights(convolution(block[3]))
        target.get_layer(f"bn{2 * index + 1}").set_weights(norm(block[1]))
        target.get_layer(f"bn{2 * index + 2}").set_weights(norm(block[4]))
    target.get_layer("logits").set_weights(linear(source.out))


class Xception(nn.Module):
    """Two separable convolutions without anything between depthwise and pointwise."""

    def __init__(self) -> None:
        super().__init__()
        self.depth1, self.point1 = nn.Conv2d(3, 3, 3, groups=3, bias=False), nn.Conv2d(3, 6, 1)
        self.depth2, self.point2 = nn.Conv2d(6, 6, 3, groups=6, bias=False), nn.Conv2d(6, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.selu(self.point1(self.depth1(x)))
        return torch.amax(self.point2(self.depth2(x)), dim=(2, 3))


def xception() -> Any:
    return Sequential(
        [
            Input((9, 7, 3)),
            layers.SeparableConv2D(6, 3, activation="selu", name="separable_1"),
            layers.SeparableConv2D(5, 3, name="separable_2"),
            layers.GlobalMaxPooling2D(),
        ]
    )


def load_separable(source: Any, target: Any) -> None:
    for index in (1, 2):
        deep, point = getattr(source, f"depth{index}"), getattr(source, f"point{index}")
        target.get_layer(f"separable_{index}").set_weights([*depthwise(deep), *convolution(point)])


CORRECT = Pair(
    "mobile", MobileNet, mobilenet, lambda rng: [rng.normal(size=(2, 8, 8, 3)).astype("float32")], load, by="factories"
)
LAST = "blocks.1.5|act4"

PAIRS = (
    CORRECT,
    CORRECT.but("relu for relu6", LAST, "relu6", keras=lambda: mobilenet(lambda: layers.ReLU(name="act4"))),
    CORRECT.but(
        "hard sigmoid for hard swish",
        "blocks.1.5|act4",
        "hard_swish|hard_sigmoid|hard swish|hard sigmoid|hardswish",
        torch=lambda: MobileNet(nn.Hardswish),
        keras=lambda: mobilenet(
            lambda: layers.Activation("hard_sigmoid", name="act4"), act=lambda: layers.Activation("hard_silu")
        ),
        by="hand",
    ),
    Pair(
        "xception",
        Xception,
        xception,
        lambda rng: [rng.normal(size=(2, 9, 7, 3)).astype("float32")],
        load_separable,
        by="transfer",
    ),
)
