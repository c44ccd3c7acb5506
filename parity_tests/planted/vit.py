"""Mistakes in porting a Vision Transformer."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from diglot.core import registry
from diglot.keras_impl.techniques.dropout import Dropout as KerasDropout
from diglot.torch_impl.techniques.dropout import Dropout
from keras import ops

from . import ModelBug
from .multi_head_attention import torch_attention

TOKEN = registry.make("vit_small", stochastic_depth_rate=0.3)
AVERAGE = registry.make("vit_small_features", num_classes=5, num_layers=1)
WAVES = registry.make("vit_small_sinusoidal")


@partial(ModelBug, "class token appended at the end", TOKEN, "keras", "forward", "class_token")
def token_at_the_end(model: Any) -> None:
    token = model.class_token

    def call(x: Any) -> Any:
        batch, _, channels = ops.shape(x)
        return ops.concatenate([x, ops.broadcast_to(token.vectors, (batch, 1, channels))], axis=1)

    token.call = call


@partial(ModelBug, "class token kept constant", TOKEN, "torch", "gradients", "class_token")
def constant_token(model: Any) -> None:
    token = model.class_token
    token.forward = lambda x: torch.cat([token.vectors.detach().expand(len(x), -1, -1), x], dim=1)


@partial(ModelBug, "position embedding forgotten", TOKEN, "torch", "forward", "positions")
def positions_forgotten(model: Any) -> None:
    model.positions.forward = lambda x: x


@partial(ModelBug, "positions of the patches only, added before the token", TOKEN, "keras", "forward", "vit")
def positions_before_token(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        x = model.class_token(model.patches(image) + model.positions.vectors[1:])
        x = model.dropout(x, training=training)
        for block in model.blocks:
            x = block(x, training=training)
        return model.head(model.pooling(model.norm(x)))

    model.call = call


@partial(ModelBug, "positions shifted by the class token", TOKEN, "torch", "forward_training", "positions")
def shifted_positions(model: Any) -> None:
    positions = model.positions
    positions.forward = lambda x: x + positions.vectors.roll(1, dims=0)


@partial(ModelBug, "positions missing from the parameters", TOKEN, "torch", "structure", "positions")
def positions_not_a_parameter(model: Any) -> None:
    vectors = model.positions.vectors.detach()
    del model.positions.vectors
    model.positions.vectors = vectors


@partial(ModelBug, "sinusoidal rows and columns swapped", WAVES, "torch", "forward", "positions")
def swapped_waves(model: Any) -> None:
    waves = model.positions.waves
    model.positions.waves = waves.roll(waves.shape[1] // 2, dims=1)


@partial(ModelBug, "sines and cosines alternating", WAVES, "keras", "forward_training", "positions")
def alternating_waves(model: Any) -> None:
    waves = model.positions.waves
    count, width = waves.shape
    model.positions.waves = waves.reshape(count, 2, 2, width // 4).swapaxes(2, 3).reshape(count, width)


@partial(ModelBug, "a sinusoidal position for the class token", WAVES, "keras", "forward", "positions")
def position_of_token(model: Any) -> None:
    model.positions.waves = model.positions.waves.copy()
    model.positions.waves[0] = model.positions.waves[1]


@partial(ModelBug, "patches flattened column by column", TOKEN, "torch", "forward", "patches")
def columns_first(model: Any) -> None:
    patches = model.patches
    patches.forward = lambda image: patches.projection(image).transpose(2, 3).flatten(2).transpose(1, 2)


@partial(ModelBug, "patches reshaped without moving the channels", TOKEN, "torch", "forward_training", "patches")
def unmoved_channels(model: Any) -> None:
    patches = model.patches

    def forward(image: torch.Tensor) -> torch.Tensor:
        x = patches.projection(image)
        return x.reshape(x.shape[0], -1, x.shape[1])

    patches.forward = forward


@partial(ModelBug, "height and width of the patch kernel swapped", TOKEN, "keras", "forward", "patches.projection")
def transposed_patch(model: Any) -> None:
    projection, size = model.patches.projection, model.spec.patch_size

    def call(image: Any) -> Any:
        return ops.conv(image, ops.swapaxes(projection.kernel, 0, 1), strides=size) + projection.bias

    projection.call = call


@partial(ModelBug, "average pooling that includes the class token", AVERAGE, "torch", "forward", "pooling")
def average_with_token(model: Any) -> None:
    model.pooling.first_patch = 0


@partial(ModelBug, "average pooling for the class token", TOKEN, "keras", "forward", "pooling")
def average_for_token(model: Any) -> None:
    model.pooling.average = True


@partial(ModelBug, "last patch taken for the class token", TOKEN, "keras", "gradients", "pooling")
def last_patch(model: Any) -> None:
    model.pooling.call = lambda x: x[:, -1]


@partial(ModelBug, "norm epsilon left at the PyTorch default", TOKEN, "torch", "forward", "blocks.1.norm2")
def default_epsilon(model: Any) -> None:
    model.blocks[1].norm2.eps = 1e-5


@partial(ModelBug, "norm epsilon left at the Keras default", AVERAGE, "keras", "forward", "norm")
def default_epsilon_of_keras(model: Any) -> None:
    model.norm.epsilon = 1e-3


@partial(ModelBug, "last norm forgotten", TOKEN, "torch", "forward", "vit")
def last_norm_forgotten(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        x = model.dropout(model.positions(model.class_token(model.patches(image))))
        for block in model.blocks:
            x = block(x)
        return model.head(model.pooling(x))

    model.forward = forward


@partial(ModelBug, "norm after the pooling", AVERAGE, "keras", "forward", "vit")
def norm_after_pooling(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        x = model.dropout(model.positions(model.class_token(model.patches(image))), training=training)
        for block in model.blocks:
            x = block(x, training=training)
        return model.head(model.norm(model.pooling(x)))

    model.call = call


@partial(ModelBug, "tanh GELU for the exact one", TOKEN, "keras", "forward", "blocks.0.feed_forward.activation")
def tanh_gelu(model: Any) -> None:
    model.blocks[0].feed_forward.activation.approximate = True


@partial(ModelBug, "scores divided by the root of the model's width", TOKEN, "torch", "forward", "blocks.0.attention")
def scaled_by_width(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        return attention.dropout(attention.map(query @ key.transpose(-2, -1) / math.sqrt(model.spec.d_model)))

    torch_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "softmax over the queries", TOKEN, "keras", "forward", "blocks.1.attention.map")
def softmax_over_queries(model: Any) -> None:
    model.blocks[1].attention.map.call = lambda scores, attention_mask=None: ops.softmax(scores, axis=-2)


DEPTH = "blocks.1.stochastic_depth1"


@partial(ModelBug, "stochastic depth per element", TOKEN, "keras", "forward_training", DEPTH)
def depth_per_element(model: Any) -> None:
    layer = model.blocks[1].stochastic_depth1
    layer.noise_shape = None
    layer.call = lambda x, training=False: KerasDropout.call(layer, x, training=training)


@partial(ModelBug, "stochastic depth per token", TOKEN, "torch", "gradients", DEPTH)
def depth_per_token(model: Any) -> None:
    layer = model.blocks[1].stochastic_depth1
    layer.forward = lambda x: x * Dropout.forward(layer, torch.ones_like(x[..., :1])) if layer.training else x


@partial(ModelBug, "stochastic depth without division by the survival", TOKEN, "torch", "forward_training", DEPTH)
def undivided_depth(model: Any) -> None:
    layer = model.blocks[1].stochastic_depth1
    original = layer.forward
    layer.forward = lambda x: original(x) * (1 - layer.p) if layer.training else x


@partial(ModelBug, "stochastic depth divided by the rate", TOKEN, "keras", "forward_training", DEPTH)
def divided_by_rate(model: Any) -> None:
    layer = model.blocks[1].stochastic_depth1
    original, factor = layer.call, (1 - layer.rate) / layer.rate
    layer.call = lambda x, training=False: original(x, training=training) * (factor if training else 1)


@partial(
    ModelBug, "the last block's rate in every block", TOKEN, "torch", "forward_training", "blocks.0.stochastic_depth1"
)
def constant_rate(model: Any) -> None:
    for layer in (model.blocks[0].stochastic_depth1, model.blocks[0].stochastic_depth2):
        layer.p = model.spec.stochastic_depth_rate


@partial(ModelBug, "stochastic depth around the residual sum", TOKEN, "keras", "forward_training", "blocks.1")
def depth_of_sum(model: Any) -> None:
    block = model.blocks[1]

    def call(x: Any, training: bool = False) -> Any:
        attended = block.dropout1(block.attend(block.norm1(x), training), training=training)
        x = block.stochastic_depth1(x + attended, training=training)
        fed = block.dropout2(block.feed_forward(block.norm2(x), training=training), training=training)
        return block.stochastic_depth2(x + fed, training=training)

    block.call = call


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
