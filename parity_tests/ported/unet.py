"""A U-Net with transposed convolutions and concatenated skips. Keras: functional."""

from __future__ import annotations

from typing import Any

import torch
from keras import Input, Model, layers
from torch import nn

from . import Pair
from .weights import convolution


def double(fan_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(fan_in, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU()
    )


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = double(1, 4), double(4, 4), double(4, 4)
        self.up2 = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.up1 = nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1)
        self.dec2, self.dec1 = double(8, 4), double(8, 4)
        self.head = nn.Conv2d(4, 1, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.down1(x)
        two = self.down2(self.pool(one))
        y = self.bottom(self.pool(two))
        y = self.dec2(torch.cat([self.up2(y), two], dim=1))
        y = self.dec1(torch.cat([self.up1(y), one], dim=1))
        return torch.sigmoid(self.head(y))


def twice(x: Any, width: int, name: str, act: str = "silu") -> Any:
    x = layers.Conv2D(width, 3, padding="same", activation="silu", name=f"{name}_a")(x)
    return layers.Conv2D(width, 3, padding="same", activation=act, name=f"{name}_b")(x)


def unet(*, skip_first: bool = False, same: bool = False, act: str = "silu") -> Model:
    """PyTorch's padding of one crops the first row and column of a transposed convolution; 'same' the last."""
    picture = Input((8, 12, 1))
    one = twice(picture, 4, "enc1")
    two = twice(layers.MaxPool2D()(one), 4, "enc2", act)
    y = twice(layers.MaxPool2D()(two), 4, "bottleneck")
    y = layers.Conv2DTranspose(4, 2, strides=2, name="upconv2")(y)
    y = layers.Concatenate(name="merge2")([two, y] if skip_first else [y, two])
    y = twice(y, 4, "dec2")
    if same:
        y = layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="upconv1")(y)
    else:
        y = layers.Conv2DTranspose(4, 3, strides=2, name="upconv1")(y)
        y = layers.Cropping2D(((1, 0), (1, 0)), name="crop")(y)
    y = twice(layers.Concatenate(name="merge1")([y, one]), 4, "dec1")
    return Model(picture, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(y))


def load(source: Any, target: Any) -> None:
    pairs = {"enc1": "down1", "enc2": "down2", "bottleneck": "bottom", "dec2": "dec2", "dec1": "dec1"}
    for ours, theirs in pairs.items():
        target.get_layer(f"{ours}_a").set_weights(convolution(getattr(source, theirs)[0]))
        target.get_layer(f"{ours}_b").set_weights(convolution(getattr(source, theirs)[2]))
    target.get_layer("upconv2").set_weights(convolution(source.up2))
    target.get_layer("upconv1").set_weights(convolution(source.up1))
    target.get_layer("mask").set_weights(convolution(source.head))


CORRECT = Pair("unet", UNet, unet, lambda rng: [rng.normal(size=(2, 8, 12, 1)).astype("float32")], load)

PAIRS = (
    CORRECT,
    CORRECT.but(
        "skip concatenated first", ":cat#0|:concatenate#0|merge2", "order|concat", keras=lambda: unet(skip_first=True)
    ),
    CORRECT.but(
        "'same' transposed convolution",
        "up1|upconv1",
        "padding|crop",
        keras=lambda: unet(same=True),
        by="transfer",
    ),
    CORRECT.but(
        "sigmoid for silu",
        "down2.3|enc2_b:activation|enc2_b",
        "sigmoid",
        keras=lambda: unet(act="sigmoid"),
        by="factories",
    ),
)
