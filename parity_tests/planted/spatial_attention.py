"""Mistakes in porting spatial attention."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from keras import ops

from . import ModelBug

SMALL = registry.make("spatial_attention_small")
BIAS = registry.make("spatial_attention_small_bias")


@partial(ModelBug, "maximum before the mean", SMALL, "torch", "forward", "spatial_attention")
def maximum_first(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        maps = torch.cat([image.amax(1, keepdim=True), image.mean(1, keepdim=True)], dim=1)
        return image * torch.sigmoid(model.conv(maps))

    model.forward = forward


@partial(ModelBug, "maps over the positions instead of the channels", SMALL, "keras", "forward", "spatial_attention")
def maps_over_positions(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        flat = [ops.mean(image, axis=(1, 2), keepdims=True), ops.max(image, axis=(1, 2), keepdims=True)]
        maps = ops.concatenate([ops.mean(item + 0 * image, axis=-1, keepdims=True) for item in flat], axis=-1)
        return image * ops.sigmoid(model.conv(maps))

    model.call = call


@partial(ModelBug, "valid convolution padded afterwards", SMALL, "torch", "forward_training", "conv")
def padded_afterwards(model: Any) -> None:
    conv = model.conv
    conv.forward = lambda x: F.pad(F.conv2d(x, conv.weight), (3, 3, 3, 3))


@partial(ModelBug, "softmax over the positions for the sigmoid", BIAS, "keras", "forward", "spatial_attention")
def softmax_for_sigmoid(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        maps = ops.concatenate([ops.mean(image, axis=-1, keepdims=True), ops.max(image, axis=-1, keepdims=True)], -1)
        return image * ops.softmax(model.conv(maps), axis=(1, 2))

    model.call = call


@partial(ModelBug, "bias of the convolution left out", BIAS, "torch", "forward", "conv")
def bias_left_out(model: Any) -> None:
    conv = model.conv
    conv.forward = lambda x: F.conv2d(x, conv.weight, padding=1)


@partial(ModelBug, "kernel with height and width swapped", SMALL, "keras", "gradients", "conv")
def transposed_kernel(model: Any) -> None:
    conv = model.conv
    conv.call = lambda x: ops.conv(x, ops.swapaxes(conv.kernel, 0, 1), padding="same")


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
