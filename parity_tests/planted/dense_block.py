"""Mistakes in porting a dense block."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import torch
import torch.nn.functional as F
from diglot.core import registry
from keras import ops
from torch.utils.checkpoint import checkpoint

from . import ModelBug

SMALL = registry.make("dense_block_small", num_layers=2)
# As many channels as a layer adds, so that an addition has no shape that would give it away.
EVEN = SMALL.replace(in_channels=2, growth_rate=2)
AGAIN = SMALL.replace(recompute=True)
DROPPED = registry.make("dense_block_small_recomputed")
BLOCK = "dense_block"


@partial(ModelBug, "new channels in front of the old ones", SMALL, "torch", "forward", BLOCK)
def new_channels_first(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        x = image
        for layer in model.dense_layers:
            added = layer(x)
            x = torch.cat([added, x], dim=1)
        return x

    model.forward = forward


@partial(ModelBug, "layers given the newest channels first", SMALL, "keras", "forward_training", BLOCK)
def newest_first(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        features = [image]
        for layer in model.dense_layers:
            features.append(layer(ops.concatenate(features[::-1], axis=-1), training=training))
        return ops.concatenate(features, axis=-1)

    model.call = call


@partial(ModelBug, "addition instead of concatenation", EVEN.replace(num_layers=1), "keras", "forward", BLOCK)
def addition(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        added = model.dense_layers[0](image, training=training)
        return ops.concatenate([image, image + added], axis=-1)

    model.call = call


@partial(ModelBug, "channels of the first layer not kept, as in the document", EVEN, "torch", "forward", BLOCK)
def not_kept(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        first, second = model.dense_layers
        x = first(image)
        return second(torch.cat([image, x], dim=1))

    model.forward = forward


@partial(ModelBug, "the input left out of the result", SMALL, "keras", "forward", BLOCK)
def input_left_out(model: Any) -> None:
    original = model.call
    model.call = lambda image, training=False: original(image, training=training)[..., image.shape[-1] :]


@partial(ModelBug, "channels shuffled on the way to the second layer", SMALL, "torch", "gradients", BLOCK)
def interleaved(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        first, second = model.dense_layers
        added = first(image)
        x = torch.cat([image, added], dim=1)
        shuffled = x.view(len(x), 2, -1, *x.shape[2:]).transpose(1, 2).reshape(x.shape)
        return torch.cat([x, second(shuffled)], dim=1)

    model.forward = forward


@partial(ModelBug, "gradient stopped at the earlier features", SMALL, "torch", "gradients", BLOCK)
def detached_features(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        features = [image]
        for layer in model.dense_layers:
            features.append(layer(torch.cat([*(part.detach() for part in features[:-1]), features[-1]], dim=1)))
        return torch.cat(features, dim=1)

    model.forward = forward


@partial(ModelBug, "convolution before its normalisation", SMALL, "torch", "forward", "dense_layers.0")
def post_activation(model: Any) -> None:
    layer = model.dense_layers[0]
    layer.forward = lambda x: layer.conv2(F.relu(layer.norm2(layer.conv1(F.relu(x)))))


@partial(ModelBug, "activation before the normalisation", SMALL, "keras", "forward_training", "dense_layers.1")
def activation_before_norm(model: Any) -> None:
    layer = model.dense_layers[1]

    def call(x: Any, training: bool = False) -> Any:
        x = layer.conv1(layer.norm1(ops.relu(x), training=training))
        return layer.conv2(layer.norm2(ops.relu(x), training=training))

    layer.call = call


@partial(ModelBug, "activation of the bottleneck forgotten", SMALL, "keras", "forward", "dense_layers.0")
def bottleneck_activation_forgotten(model: Any) -> None:
    layer = model.dense_layers[0]

    def call(x: Any, training: bool = False) -> Any:
        x = layer.conv1(layer.norm1(x, training=training))
        return layer.conv2(ops.relu(layer.norm2(x, training=training)))

    layer.call = call


@partial(ModelBug, "padding of the 3x3 convolution repeats the edge", SMALL, "torch", "forward", "dense_layers.1.conv2")
def replicated_padding(model: Any) -> None:
    conv = model.dense_layers[1].conv2
    conv.forward = lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), conv.weight)


@partial(ModelBug, "statistics moved twice by the recomputation", AGAIN, "torch", "training", BLOCK)
def statistics_twice_in_torch(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        if not model.training:
            return type(model).forward(model, image)
        features = [image]
        for layer in model.dense_layers:
            grow = lambda *parts, layer=layer: layer(torch.cat(parts, dim=1))  # noqa: E731
            features.append(checkpoint(grow, *features, use_reentrant=False))
        return torch.cat(features, dim=1)

    model.forward = forward


@partial(ModelBug, "statistics moved twice by keras.remat", AGAIN, "keras", "training", BLOCK)
def statistics_twice_in_keras(model: Any) -> None:
    original = type(model).call

    def call(image: Any, training: bool = False) -> Any:
        if not training:
            return original(model, image)
        features = [image]
        for layer in model.dense_layers:
            grow = lambda *parts, layer=layer: layer(ops.concatenate(parts, axis=-1), training=True)  # noqa: E731
            features.append(keras.remat(grow)(*features))
        return ops.concatenate(features, axis=-1)

    model.call = call


@partial(ModelBug, "statistics never moved where a layer is recomputed", AGAIN, "keras", "forward_training", BLOCK)
def statistics_never(model: Any) -> None:
    original = type(model).call

    def call(image: Any, training: bool = False) -> Any:
        with keras.StatelessScope():
            return original(model, image, training=training)

    model.call = call


@partial(ModelBug, "gradient not through the recomputed layer", AGAIN, "torch", "gradients", BLOCK)
def reentrant_without_gradient(model: Any) -> None:
    def forward(image: torch.Tensor) -> torch.Tensor:
        features = [image]
        for layer in model.dense_layers:
            with torch.no_grad():
                features.append(layer(torch.cat(features, dim=1)))
        return torch.cat(features, dim=1)

    model.forward = forward


@partial(ModelBug, "dropout on the features that are already there", DROPPED, "keras", "forward_training", BLOCK)
def dropout_on_all(model: Any) -> None:
    def call(image: Any, training: bool = False) -> Any:
        x = image
        for layer, drop in zip(model.dense_layers, model.dropouts, strict=True):
            x = drop(ops.concatenate([x, layer(x, training=training)], axis=-1), training=training)
        return x

    model.call = call


@partial(ModelBug, "dropout forgotten", DROPPED, "torch", "forward_training", BLOCK)
def dropout_forgotten(model: Any) -> None:
    for drop in model.dropouts:
        drop.p = 0.0


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
