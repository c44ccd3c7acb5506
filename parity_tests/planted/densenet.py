"""Mistakes in porting a densely connected network. Those within a block are with the dense block."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from keras import ops
from torch import nn
from torch.utils.checkpoint import checkpoint

from . import ModelBug

# Nine pixels are halved to four: an odd row and column are left out.
SMALL = registry.make("densenet_small", num_layers=(1, 1), image_size=9)
STEM = registry.make("densenet_small_imagenet", num_layers=(1, 1), image_size=32, recompute=False, dropout_rate=0.0)
AGAIN = SMALL.replace(recompute=True)


@partial(ModelBug, "transition with maximum pooling", SMALL, "torch", "forward", "transitions.0.pool")
def maximum_in_transition(model: Any) -> None:
    model.transitions[0].pool.forward = lambda x: F.max_pool2d(x, 2, stride=2)


@partial(ModelBug, "transition with overlapping 'same' pooling", SMALL, "keras", "forward", "transitions.0.pool")
def same_pooling(model: Any) -> None:
    model.transitions[0].pool.call = lambda x: ops.average_pool(x, 3, strides=2, padding="same")[:, :-1, :-1]


@partial(ModelBug, "transition rounded up", SMALL, "torch", "forward", "transitions.0.pool")
def rounded_up(model: Any) -> None:
    model.transitions[0].pool.forward = lambda x: F.avg_pool2d(x, 2, stride=2, ceil_mode=True)


@partial(ModelBug, "transition that leaves the first row out, not the last", SMALL, "keras", "gradients",
         "transitions.0.pool")  # fmt: skip
def first_row_left_out(model: Any) -> None:
    model.transitions[0].pool.call = lambda x: ops.average_pool(x[:, 1:, 1:], 2, strides=2)


@partial(ModelBug, "transition pooled by a stride", SMALL, "torch", "forward_training", "transitions.0.conv")
def strided_transition(model: Any) -> None:
    transition = model.transitions[0]
    transition.conv.stride, transition.pool.forward = (2, 2), lambda x: x[:, :, :4, :4]


@partial(ModelBug, "transition's activation forgotten", SMALL, "keras", "forward", "transitions.0")
def transition_activation_forgotten(model: Any) -> None:
    transition = model.transitions[0]
    transition.call = lambda x, training=False: transition.pool(transition.conv(transition.norm(x, training=training)))


@partial(ModelBug, "transition with activation behind the convolution", SMALL, "torch", "gradients", "transitions.0")
def late_activation(model: Any) -> None:
    transition = model.transitions[0]
    transition.forward = lambda x: transition.pool(F.relu(transition.conv(transition.norm(x))))


@partial(ModelBug, "compression rounded up", STEM, "torch", "structure", "transitions.0.conv")
def compression_rounded_up(model: Any) -> None:
    conv = model.transitions[0].conv
    outputs = math.ceil(model.spec.compression * conv.in_channels)
    model.transitions[0].conv = nn.Conv2d(conv.in_channels, outputs, 1, bias=False, dtype=torch.float64)


@partial(ModelBug, "transition without compression", SMALL, "torch", "structure", "transitions.0.conv")
def uncompressed(model: Any) -> None:
    channels = model.transitions[0].conv.in_channels
    model.transitions[0].conv = nn.Conv2d(channels, channels, 1, bias=False, dtype=torch.float64)


@partial(ModelBug, "last activation forgotten", SMALL, "keras", "forward", "densenet")
def last_activation_forgotten(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        x = model.blocks[0](model.stem_conv(image), training=training)
        x = model.blocks[1](model.transitions[0](x, training=training), training=training)
        return model.head(model.average(model.norm(x, training=training)))

    model.call = call


@partial(ModelBug, "last normalisation forgotten", SMALL, "torch", "forward_training", "densenet")
def last_norm_forgotten(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        x = model.blocks[0](model.stem_conv(image))
        x = model.blocks[1](model.transitions[0](x))
        model.norm(x)
        return model.head(model.average(F.relu(x)))

    model.forward = forward


@partial(ModelBug, "epsilon of keras.applications in the last norm", SMALL, "keras", "forward", "norm")
def epsilon_of_applications(model: Any) -> None:
    model.norm.epsilon = 1.001e-5


@partial(ModelBug, "momentum of one block's norm taken for its complement", SMALL, "torch", "forward_training",
         "blocks.1.dense_layers.0.norm2")  # fmt: skip
def complementary_momentum(model: Any) -> None:
    norm = model.blocks[1].dense_layers[0].norm2
    norm.momentum = 1 - norm.momentum


@partial(ModelBug, "'same' padding of the stem", STEM, "keras", "forward", "stem_conv")
def same_padding_of_stem(model: Any) -> None:
    conv = model.stem_conv
    conv.call = lambda x: ops.conv(x, conv.kernel, strides=2, padding="same")


@partial(ModelBug, "stem pooled without padding, rounded up", STEM, "torch", "forward_training", "stem_pool")
def stem_rounded_up(model: Any) -> None:
    model.stem_pool.forward = lambda x: F.max_pool2d(x, 3, stride=2, padding=0, ceil_mode=True)


@partial(ModelBug, "activation of the stem forgotten", STEM, "keras", "forward_training",
         "densenet")  # fmt: skip
def stem_activation_forgotten(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        x = model.stem_pool(model.stem_norm(model.stem_conv(image), training=training))
        x = model.blocks[0](x, training=training)
        x = model.blocks[1](model.transitions[0](x, training=training), training=training)
        return model.head(model.average(ops.relu(model.norm(x, training=training))))

    model.call = call


@partial(ModelBug, "maximum for the average at the end", SMALL, "torch", "forward", "average")
def maximum_at_the_end(model: Any) -> None:
    model.average.forward = lambda x: x.amax(dim=(2, 3))


@partial(ModelBug, "batch norm epsilon left at the Keras default", SMALL, "keras", "gradients",
         "blocks.0.dense_layers.0.norm2")  # fmt: skip
def epsilon_of_keras(model: Any) -> None:
    model.blocks[0].dense_layers[0].norm2.epsilon = 1e-3


@partial(ModelBug, "bottleneck with norm and convolution swapped", SMALL, "torch", "forward",
         "blocks.1.dense_layers.0")  # fmt: skip
def bottleneck_order(model: Any) -> None:
    layer = model.blocks[1].dense_layers[0]
    layer.forward = lambda x: layer.conv2(layer.norm2(F.relu(layer.conv1(F.relu(layer.norm1(x))))))


@partial(ModelBug, "new channels in front of the old ones", SMALL, "keras", "forward_training", "blocks.0")
def new_channels_first(model: Any) -> None:
    block = model.blocks[0]
    block.call = lambda image, training=False: ops.concatenate(
        [block.dense_layers[0](image, training=training), image], axis=-1
    )


@partial(ModelBug, "statistics of one block moved twice by the recomputation", AGAIN, "torch", "training", "blocks.1")
def statistics_twice(model: Any) -> None:
    block = model.blocks[1]

    def forward(image: torch.Tensor) -> torch.Tensor:
        (layer,) = block.dense_layers
        added = checkpoint(layer, image, use_reentrant=False) if block.training else layer(image)
        return torch.cat([image, added], dim=1)

    block.forward = forward


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
