"""Mistakes in porting a residual block."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from keras import ops

from . import ModelBug

SMALL = registry.make("residual_block_small")
BOTTLENECK = registry.make("residual_block_small_bottleneck")
ORIGINAL = registry.make("residual_block_small_original", image_size=6)
CBAM = registry.make("residual_block_small_cbam")


@partial(ModelBug, "stride on the 3x3 convolution of the original", ORIGINAL, "torch", "forward", "conv1")
def stride_on_the_wrong_convolution(model: Any) -> None:
    model.conv1.stride, model.conv2.stride = (1, 1), (2, 2)


@partial(ModelBug, "'same' padding of the 3x3 convolution at a stride of 2", BOTTLENECK, "keras", "forward", "conv2")
def same_padding(model: Any) -> None:
    conv = model.conv2
    conv.call = lambda x: ops.conv(x, conv.kernel, strides=2, padding="same")


@partial(ModelBug, "convolution's bias left out before its norm", ORIGINAL, "keras", "forward", "conv2")
def bias_left_out(model: Any) -> None:
    conv = model.conv2
    conv.call = lambda x: ops.conv(x, conv.kernel, padding="same")


@partial(ModelBug, "epsilon of the last norm 0.1% too large", BOTTLENECK, "torch", "gradients", "bn3")
def larger_epsilon(model: Any) -> None:
    model.bn3.eps *= 1.001


@partial(ModelBug, "attention on the sum instead of the residual", BOTTLENECK, "torch", "forward", "residual_block")
def attention_on_the_sum(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        x = F.relu(model.bn2(model.conv2(F.relu(model.bn1(model.conv1(image))))))
        return F.relu(model.attention(model.bn3(model.conv3(x)) + model.shortcut(image)))

    model.forward = forward


@partial(ModelBug, "attention over positions before that over channels", CBAM, "keras", "forward", "attention")
def attention_swapped(model: Any) -> None:
    attention = model.attention
    attention.call = lambda x: attention.channel(attention.spatial(x))


@partial(ModelBug, "both kinds of attention side by side", CBAM, "torch", "forward", "attention")
def attention_in_parallel(model: Any) -> None:
    attention = model.attention
    attention.forward = lambda x: (attention.channel(x) + attention.spatial(x)) / 2


@partial(ModelBug, "second norm's statistics used twice", SMALL, "keras", "forward", "residual_block")
def norm_used_twice(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        x = ops.relu(model.bn2(model.conv1(image), training=training))
        return ops.relu(model.bn2(model.conv2(x), training=training) + image)

    model.call = call


@partial(ModelBug, "activation after the last norm and after the sum", SMALL, "torch", "forward", "residual_block")
def activated_twice(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        x = F.relu(model.bn1(model.conv1(image)))
        return F.relu(F.relu(model.bn2(model.conv2(x))) + image)

    model.forward = forward


@partial(ModelBug, "widening forgotten", BOTTLENECK, "torch", "structure", "conv1")
def widening_forgotten(model: Any) -> None:
    model.conv1 = torch.nn.Conv2d(4, 2, 1, bias=False, dtype=torch.float64)


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
