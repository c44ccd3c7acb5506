"""Mistakes in porting a residual network."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from diglot.torch_impl.techniques.batch_norm import biased
from keras import ops

from . import ModelBug

# Even sizes, since on an odd one the asymmetric padding of a stride of 2 is symmetric.
SMALL = registry.make("resnet_small", num_blocks=(1, 1, 1, 1), width=3, image_size=8)
LARGER = SMALL.replace(image_size=16)  # four pixels are left for the last average
STEM = registry.make("resnet_small_imagenet", width=3, image_size=32)


@partial(ModelBug, "batch norm epsilon 0.1% too large", SMALL, "torch", "forward", "layer2.0.bn2")
def larger_epsilon(model: Any) -> None:
    model.layer2[0].bn2.eps *= 1.001


@partial(ModelBug, "epsilon of one shortcut 0.1% too large", SMALL, "keras", "gradients", "layer2.0.shortcut.bn")
def larger_shortcut_epsilon(model: Any) -> None:
    model.layer2[0].shortcut.bn.epsilon *= 1.001


@partial(ModelBug, "batch norm momentum left at the Keras default", SMALL, "keras", "forward_training", "layer1.0.bn1")
def default_momentum(model: Any) -> None:
    model.layer1[0].bn1.momentum = 0.99


@partial(ModelBug, "batch norm momentum taken for its complement", STEM, "torch", "forward_training", "bn1")
def complementary_momentum(model: Any) -> None:
    model.bn1.momentum = 1 - model.bn1.momentum


@partial(ModelBug, "running variance divided by n", SMALL, "torch", "forward_training", "layer1.0.bn2")
def biased_running_variance(model: Any) -> None:
    norm = model.layer1[0].bn2
    original = norm.forward
    norm.forward = lambda x: biased(norm, x) if norm.training else original(x)


@partial(ModelBug, "running variance divided by n - 1", STEM, "torch", "forward_training", "layer1.0.bn1")
def unbiased_running_variance(model: Any) -> None:
    norm = model.layer1[0].bn1
    norm.forward = lambda x: torch.nn.BatchNorm2d.forward(norm, x)


@partial(ModelBug, "running statistics never updated", SMALL, "keras", "forward_training", "layer1.0.bn2")
def stale_statistics(model: Any) -> None:
    norm = model.layer1[0].bn2

    def call(x: Any, training: bool = False) -> Any:
        mean, variance = ops.moments(x, axes=[0, 1, 2]) if training else (norm.moving_mean, norm.moving_variance)
        return ops.batch_normalization(x, mean, variance, -1, offset=norm.beta, scale=norm.gamma, epsilon=norm.epsilon)

    norm.call = call


@partial(ModelBug, "running statistics used in training", SMALL, "torch", "forward_training", "bn1")
def statistics_used_in_training(model: Any) -> None:
    norm = model.bn1
    norm.forward = lambda x: F.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
    )


@partial(ModelBug, "frozen layer that stops updating its statistics", SMALL, "keras", "forward_training", "bn1")
def frozen_statistics(model: Any) -> None:
    norm = model.bn1
    original = norm.call
    norm.call = lambda x, training=False: original(x, training=False)


@partial(ModelBug, "statistics of the batch in evaluation", SMALL, "torch", "forward", "layer1.0.bn1")
def batch_statistics_in_evaluation(model: Any) -> None:
    norm = model.layer1[0].bn1
    original = norm.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        if norm.training:
            return original(x)
        return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)

    norm.forward = forward


@partial(ModelBug, "statistics over each image instead of the batch", SMALL, "torch", "gradients", "layer1.0.bn1")
def instance_normalisation(model: Any) -> None:
    norm = model.layer1[0].bn1
    original = norm.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        normalised = original(x)
        return F.instance_norm(x, weight=norm.weight, bias=norm.bias, eps=norm.eps) if norm.training else normalised

    norm.forward = forward


@partial(ModelBug, "gradient stopped at the batch statistics", SMALL, "keras", "gradients", "layer1.0.bn2")
def constant_statistics(model: Any) -> None:
    norm = model.layer1[0].bn2
    original = norm.call

    def call(x: Any, training: bool = False) -> Any:
        if not training:
            return original(x, training=False)
        original(x, training=True)
        mean, variance = (ops.stop_gradient(moment) for moment in ops.moments(x, axes=[0, 1, 2]))
        return ops.batch_normalization(x, mean, variance, -1, offset=norm.beta, scale=norm.gamma, epsilon=norm.epsilon)

    norm.call = call


@partial(ModelBug, "'same' padding at a stride of 2", SMALL, "keras", "forward", "layer2.0.conv1")
def same_padding(model: Any) -> None:
    conv = model.layer2[0].conv1
    conv.call = lambda x: ops.conv(x, conv.kernel, strides=2, padding="same")


@partial(ModelBug, "'same' padding of the stem", STEM, "keras", "forward_training", "conv1")
def same_padding_of_stem(model: Any) -> None:
    conv = model.conv1
    conv.call = lambda x: ops.conv(x, conv.kernel, strides=2, padding="same")


@partial(ModelBug, "padding on the top and left only", SMALL, "torch", "forward_training", "layer1.0.conv1")
def one_sided_padding(model: Any) -> None:
    conv = model.layer1[0].conv1
    conv.forward = lambda x: F.conv2d(F.pad(x, (2, 0, 2, 0)), conv.weight)


@partial(ModelBug, "edge values repeated instead of zeros", SMALL, "torch", "forward_training", "layer1.0.conv1")
def replicated_padding(model: Any) -> None:
    conv = model.layer1[0].conv1
    conv.forward = lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), conv.weight)


@partial(ModelBug, "valid convolution padded afterwards", SMALL, "torch", "forward_training", "layer1.0.conv2")
def padding_after_convolution(model: Any) -> None:
    conv = model.layer1[0].conv2
    conv.forward = lambda x: F.pad(F.conv2d(x, conv.weight), (1, 1, 1, 1))


@partial(ModelBug, "maximum pooling with 'same' padding", STEM, "keras", "forward_training", "maxpool")
def same_pooling(model: Any) -> None:
    model.maxpool.call = lambda x: ops.max_pool(x, 3, strides=2, padding="same")


@partial(ModelBug, "maximum pooling without padding, rounded up", STEM, "torch", "forward_training", "maxpool")
def pooling_rounded_up(model: Any) -> None:
    model.maxpool.forward = lambda x: F.max_pool2d(x, 3, stride=2, padding=0, ceil_mode=True)


@partial(ModelBug, "average pooling for the maximum", STEM, "torch", "forward_training", "maxpool")
def average_pooling(model: Any) -> None:
    model.maxpool.forward = lambda x: F.avg_pool2d(x, 3, stride=2, padding=1)


@partial(ModelBug, "kernel with height and width swapped", SMALL, "torch", "forward_training", "layer1.0.conv1")
def transposed_kernel(model: Any) -> None:
    conv = model.layer1[0].conv1
    conv.forward = lambda x: F.conv2d(x, conv.weight.transpose(2, 3), padding=1)


@partial(ModelBug, "kernel with its channels swapped", SMALL, "keras", "forward_training", "layer1.0.conv2")
def swapped_channels(model: Any) -> None:
    conv = model.layer1[0].conv2
    conv.call = lambda x: ops.conv(x, ops.swapaxes(conv.kernel, 2, 3), padding="same")


@partial(ModelBug, "true convolution, with a flipped kernel", SMALL, "keras", "gradients", "layer1.0.conv1")
def flipped_kernel(model: Any) -> None:
    conv = model.layer1[0].conv1
    conv.call = lambda x: ops.conv(x, ops.flip(conv.kernel, axis=(0, 1)), padding="same")


@partial(ModelBug, "stride on the second convolution", SMALL, "torch", "forward_training", "layer2.0.conv1")
def stride_on_second_convolution(model: Any) -> None:
    model.layer2[0].conv1.stride, model.layer2[0].conv2.stride = (1, 1), (2, 2)


@partial(
    ModelBug, "projection that starts at the second pixel", SMALL, "torch", "forward_training", "layer2.0.shortcut.conv"
)
def shifted_projection(model: Any) -> None:
    conv = model.layer2[0].shortcut.conv
    conv.forward = lambda x: F.conv2d(x[:, :, 1:, 1:], conv.weight, stride=2)


@partial(ModelBug, "projection by average pooling", SMALL, "keras", "forward_training", "layer2.0.shortcut.conv")
def pooled_projection(model: Any) -> None:
    conv = model.layer2[0].shortcut.conv
    conv.call = lambda x: ops.conv(ops.average_pool(x, 2, strides=2), conv.kernel)


@partial(ModelBug, "projection without its normalisation", SMALL, "keras", "forward_training", "layer2.0.shortcut")
def projection_without_norm(model: Any) -> None:
    shortcut = model.layer2[0].shortcut
    shortcut.call = lambda x, training=False: shortcut.conv(x)


@partial(ModelBug, "projection with a bias", SMALL, "torch", "structure", "layer2.0.shortcut.conv")
def projection_with_bias(model: Any) -> None:
    conv = model.layer2[0].shortcut.conv
    conv.bias = torch.nn.Parameter(torch.zeros(conv.out_channels, dtype=torch.float64))


@partial(ModelBug, "shortcut skipped", SMALL, "keras", "forward_training", "layer1.0")
def shortcut_skipped(model: Any) -> None:
    block = model.layer1[0]

    def call(x: Any, training: bool = False) -> Any:
        residual = ops.relu(block.bn1(block.conv1(x), training=training))
        return ops.relu(block.bn2(block.conv2(residual), training=training))

    block.call = call


@partial(ModelBug, "shortcut detached from the gradient", SMALL, "torch", "gradients", "layer1.0")
def detached_shortcut(model: Any) -> None:
    block = model.layer1[0]

    def forward(x: torch.Tensor) -> torch.Tensor:
        residual = F.relu(block.bn1(block.conv1(x)))
        return F.relu(block.bn2(block.conv2(residual)) + x.detach())

    block.forward = forward


@partial(ModelBug, "shortcut from after the first activation", SMALL, "torch", "forward_training", "layer1.0")
def late_shortcut(model: Any) -> None:
    block = model.layer1[0]

    def forward(x: torch.Tensor) -> torch.Tensor:
        residual = F.relu(block.bn1(block.conv1(x)))
        return F.relu(block.bn2(block.conv2(residual)) + residual)

    block.forward = forward


@partial(ModelBug, "last activation of a block forgotten", SMALL, "torch", "forward", "layer1.0")
def last_activation_forgotten(model: Any) -> None:
    block = model.layer1[0]
    block.forward = lambda x: block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x))))) + x


@partial(ModelBug, "activation before the addition", SMALL, "keras", "forward_training", "layer1.0")
def activation_before_addition(model: Any) -> None:
    block = model.layer1[0]

    def call(x: Any, training: bool = False) -> Any:
        residual = ops.relu(block.bn1(block.conv1(x), training=training))
        return ops.relu(block.bn2(block.conv2(residual), training=training)) + x

    block.call = call


@partial(ModelBug, "activation before the normalisation", SMALL, "keras", "forward_training", "layer1.0")
def activation_before_norm(model: Any) -> None:
    block = model.layer1[0]

    def call(x: Any, training: bool = False) -> Any:
        residual = block.bn1(ops.relu(block.conv1(x)), training=training)
        return ops.relu(block.bn2(block.conv2(residual), training=training) + x)

    block.call = call


@partial(ModelBug, "activation of the stem forgotten", STEM, "torch", "forward_training", "resnet")
def stem_activation_forgotten(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        x = model.maxpool(model.bn1(model.conv1(image)))
        for blocks in (model.layer1, model.layer2, model.layer3, model.layer4):
            x = blocks(x)
        return model.fc(model.avgpool(x))

    model.forward = forward


@partial(ModelBug, "maximum for the average at the end", LARGER, "keras", "forward_training", "avgpool")
def maximum_at_the_end(model: Any) -> None:
    model.avgpool.call = lambda x: ops.max(x, axis=(1, 2))


@partial(ModelBug, "sum for the average at the end", LARGER, "torch", "forward_training", "avgpool")
def sum_at_the_end(model: Any) -> None:
    model.avgpool.forward = lambda x: x.sum(dim=(2, 3))


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
