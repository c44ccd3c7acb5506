"""Mistakes in porting an Inception module."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from keras import ops

from . import ModelBug

SMALL = registry.make("inception_module_small")
SQUARE = registry.make("inception_module_small_3x3")


@partial(ModelBug, "branches in another order", SMALL, "torch", "forward", "inception_module")
def other_order(model: Any) -> None:
    model.forward = lambda x: torch.cat([model.branch1(x), model.branch3(x), model.branch2(x), model.branch4(x)], dim=1)


@partial(ModelBug, "pooling branch first", SQUARE, "keras", "forward_training", "inception_module")
def pooling_first(model: Any) -> None:
    original = model.call
    model.call = lambda x, training=False: ops.roll(original(x, training=training), 3, axis=-1)


@partial(ModelBug, "branches summed up in a chain", SQUARE, "torch", "forward", "branch3.0.conv")
def chained(model: Any) -> None:
    original = model.branch3[0].conv.forward
    model.branch3[0].conv.forward = lambda x: original(x + x.mean(dim=1, keepdim=True))


@partial(ModelBug, "5x5 kernel padded on the top and left", SMALL, "keras", "forward", "branch3.1.conv")
def one_sided(model: Any) -> None:
    conv = model.branch3[1].conv
    conv.call = lambda x: ops.conv(ops.pad(x, [[0, 0], [4, 0], [4, 0], [0, 0]]), conv.kernel)


@partial(ModelBug, "5x5 branch with the padding of a 3x3 one", SMALL, "torch", "forward", "branch3.1.conv")
def too_little_padding(model: Any) -> None:
    conv = model.branch3[1].conv
    conv.forward = lambda x: F.pad(F.conv2d(x, conv.weight, padding=1), (1, 1, 1, 1))


@partial(ModelBug, "5x5 branch with a 3x3 kernel", SMALL, "keras", "gradients", "branch3.1.conv")
def smaller_kernel(model: Any) -> None:
    conv = model.branch3[1].conv
    conv.call = lambda x: ops.conv(x, conv.kernel[1:4, 1:4], padding="same")


@partial(ModelBug, "pooling over zeros", SMALL, "keras", "forward", "branch4.0")
def pooling_over_zeros(model: Any) -> None:
    model.branch4[0].call = lambda x: ops.max_pool(ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, strides=1)


@partial(ModelBug, "average for the maximum", SQUARE, "torch", "forward_training", "branch4.0")
def average(model: Any) -> None:
    model.branch4[0].forward = lambda x: F.avg_pool2d(x, 3, stride=1, padding=1)


@partial(ModelBug, "reduction without its activation", SMALL, "keras", "gradients", "branch2.0")
def no_activation(model: Any) -> None:
    unit = model.branch2[0]
    unit.call = lambda x, training=False: unit.bn(unit.conv(x), training=training)


@partial(ModelBug, "reduction left out of the gradient", SMALL, "torch", "gradients", "branch2.0")
def detached(model: Any) -> None:
    unit = model.branch2[0]
    original = unit.forward
    unit.forward = lambda x: original(x).detach() + 0 * original(x)


@partial(ModelBug, "epsilon left at the PyTorch default", SMALL, "torch", "forward", "branch4.1.bn")
def default_epsilon(model: Any) -> None:
    model.branch4[1].bn.eps = 1e-5


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
