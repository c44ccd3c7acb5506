"""Mistakes in porting Inception v3."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from keras import ops

from . import ModelBug

SMALL = registry.make("inception_v3_small")
KERAS = registry.make("inception_v3_small_keras")


@partial(ModelBug, "average that counts the padding", KERAS, "torch", "forward", "mixed5.0.pool")
def counted(model: Any) -> None:
    model.mixed5[0].pool.count_include_pad = True


@partial(ModelBug, "average that leaves the padding out", SMALL, "keras", "forward", "mixed6.1.pool")
def left_out(model: Any) -> None:
    model.mixed6[1].pool.call = lambda x: ops.average_pool(x, 3, strides=1, padding="same")


@partial(ModelBug, "maximum for the average of the last module", SMALL, "torch", "forward_training", "mixed7.1.pool")
def maximum(model: Any) -> None:
    model.mixed7[1].pool.forward = lambda x: F.max_pool2d(x, 3, stride=1, padding=1)


@partial(ModelBug, "1x7 kernel used as 7x1", SMALL, "torch", "forward", "mixed6.1.branch7x7_2.conv")
def turned(model: Any) -> None:
    conv = model.mixed6[1].branch7x7_2.conv
    conv.forward = lambda x: F.conv2d(x, conv.weight.transpose(2, 3), padding=(3, 0))


@partial(ModelBug, "7x1 kernel padded on top", KERAS, "keras", "forward", "mixed6.1.branch7x7_3.conv")
def padded_on_top(model: Any) -> None:
    conv = model.mixed6[1].branch7x7_3.conv
    conv.call = lambda x: ops.conv(ops.pad(x, [[0, 0], [6, 0], [0, 0], [0, 0]]), conv.kernel)


@partial(ModelBug, "branches of the last module in another order", KERAS, "torch", "forward", "mixed7.1")
def other_order(model: Any) -> None:
    module = model.mixed7[1]
    original = module.forward
    module.forward = lambda x: original(x).roll(24, dims=1)


@partial(ModelBug, "halves of the last module swapped", SMALL, "keras", "gradients", "mixed7.1")
def swapped_halves(model: Any) -> None:
    module = model.mixed7[1]
    original = module.call

    def call(x: Any, training: bool = False) -> Any:
        y = original(x, training=training)
        return ops.concatenate([y[..., :20], y[..., 44:68], y[..., 20:44], y[..., 68:]], axis=-1)

    module.call = call


@partial(ModelBug, "reduction that starts at the second pixel", KERAS, "keras", "forward", "maxpool1")
def shifted(model: Any) -> None:
    model.maxpool1.call = lambda x: ops.max_pool(ops.pad(x[:, 1:, 1:], [[0, 0], [0, 1], [0, 1], [0, 0]]), 3, strides=2)


@partial(ModelBug, "gamma where there is none", KERAS, "torch", "structure", "conv1a.bn")
def scaled(model: Any) -> None:
    model.conv1a.bn.weight = torch.nn.Parameter(torch.ones(model.conv1a.bn.num_features, dtype=torch.float64))


@partial(ModelBug, "auxiliary head dropped from the loss", SMALL, "keras", "gradients", "aux")
def dropped(model: Any) -> None:
    original = model.aux.call
    model.aux.call = lambda x, training=False: ops.stop_gradient(original(x, training=training))


@partial(ModelBug, "auxiliary head with GoogLeNet's weight", SMALL, "torch", "gradients", "aux")
def other_weight(model: Any) -> None:
    original, more = model.aux.forward, 0.3 / model.spec.aux_weight - 1

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = original(x)
        return y + more * (y - y.detach())

    model.aux.forward = forward


@partial(ModelBug, "colours of the transformation swapped", SMALL, "keras", "forward", "transform")
def swapped_colours(model: Any) -> None:
    original = model.transform.call
    model.transform.call = lambda x: ops.flip(original(ops.flip(x, axis=-1)), axis=-1)


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
