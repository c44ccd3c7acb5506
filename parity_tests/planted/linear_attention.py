"""Mistakes in porting linear attention."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from diglot.keras_impl.exact import constant
from keras import ops

from . import ModelBug

CAUSAL = registry.make("linear_attention_small")
ENCODER = registry.make("linear_attention_small_encoder")
OPEN = registry.make("linear_attention_small_open")


@partial(ModelBug, "elu without the one", OPEN, "torch", "forward", "feature_map")
def elu_alone(model: Any) -> None:
    model.feature_map.forward = F.elu


@partial(ModelBug, "ReLU for elu plus one", ENCODER, "keras", "forward_training", "feature_map")
def relu_features(model: Any) -> None:
    model.feature_map.call = lambda x: ops.relu(x)


@partial(ModelBug, "exponential for elu plus one", CAUSAL, "torch", "gradients", "feature_map")
def exponential_features(model: Any) -> None:
    model.feature_map.forward = torch.exp


@partial(ModelBug, "softmax over the channels as the feature map", OPEN, "keras", "forward", "feature_map")
def softmax_features(model: Any) -> None:
    model.feature_map.call = lambda x: ops.softmax(x, axis=-1)


@partial(ModelBug, "softmax attention under the name of a linear one", OPEN, "torch", "forward_training", "sums")
def softmax_attention(model: Any) -> None:
    def forward(query: Any, key: Any, value: Any, attention_mask: Any = None, cache: Any = None) -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)

    model.sums.forward = forward


@partial(ModelBug, "normaliser over all positions under a causal numerator", OPEN, "torch", "forward", "sums")
def whole_normaliser(model: Any) -> None:
    def forward(query: Any, key: Any, value: Any, attention_mask: Any = None, cache: Any = None) -> torch.Tensor:
        numerator = (query @ key.transpose(-2, -1)).tril() @ value
        return numerator / (query @ key.sum(dim=-2)[..., None] + model.sums.epsilon)

    model.sums.forward = forward


@partial(ModelBug, "normaliser forgotten", ENCODER, "keras", "gradients", "sums")
def no_normaliser(model: Any) -> None:
    def call(query: Any, key: Any, value: Any, attention_mask: Any = None, cache: Any = None) -> Any:
        key = key * ops.cast(attention_mask, key.dtype)[:, None, :, None]
        return query @ (ops.swapaxes(key, -2, -1) @ value)

    model.sums.call = call


@partial(ModelBug, "gradient stopped at the normaliser", ENCODER, "torch", "gradients", "sums")
def constant_normaliser(model: Any) -> None:
    def forward(query: Any, key: Any, value: Any, attention_mask: Any, cache: Any = None) -> torch.Tensor:
        key = key * attention_mask[:, None, :, None]
        normaliser = query @ key.sum(dim=-2)[..., None] + model.sums.epsilon
        return query @ (key.transpose(-2, -1) @ value) / normaliser.detach()

    model.sums.forward = forward


@partial(ModelBug, "keys and values swapped in their sum", ENCODER, "torch", "forward", "sums")
def transposed_sum(model: Any) -> None:
    def forward(query: Any, key: Any, value: Any, attention_mask: Any, cache: Any = None) -> torch.Tensor:
        key = key * attention_mask[:, None, :, None]
        normaliser = query @ key.sum(dim=-2)[..., None] + model.sums.epsilon
        return query @ (value.transpose(-2, -1) @ key) / normaliser

    model.sums.forward = forward


@partial(ModelBug, "sums that hold the chunk itself, and so the future", CAUSAL, "keras", "forward", "sums")
def chunk_counted_twice(model: Any) -> None:
    def before(x: Any, start: Any) -> Any:
        total = ops.cumsum(x, axis=2)
        return ops.concatenate([total, total[:, :, -1:]], axis=2)

    model.sums.before = before


@partial(ModelBug, "sums of the chunks but one", CAUSAL, "torch", "forward_training", "sums")
def chunk_late(model: Any) -> None:
    original = model.sums.before
    model.sums.before = lambda x, start: F.pad(original(x, start).movedim(2, -1)[..., :-1], (1, 0)).movedim(-1, 2)


@partial(ModelBug, "each chunk on its own", OPEN, "keras", "forward_training", "sums")
def chunks_apart(model: Any) -> None:
    original = model.sums.before
    model.sums.before = lambda x, start: ops.zeros_like(original(x, start))


@partial(ModelBug, "a position that does not attend to itself", OPEN, "keras", "gradients", "sums")
def not_itself(model: Any) -> None:
    original = model.sums.call

    def call(query: Any, key: Any, value: Any, attention_mask: Any = None, cache: Any = None) -> Any:
        within = ops.sum(query * key, axis=-1, keepdims=True)
        before = ops.cumsum(key, axis=2)
        normaliser = ops.sum(query * before, axis=-1, keepdims=True) + constant(model.sums.epsilon, query)
        return (original(query, key, value) * normaliser - within * value) / (normaliser - within + 1)

    model.sums.call = call


@partial(ModelBug, "future attended to", OPEN, "torch", "gradients", "sums")
def not_causal(model: Any) -> None:
    model.sums.causal = False


@partial(ModelBug, "padding attended to", CAUSAL, "torch", "forward", "sums")
def padding_leak(model: Any) -> None:
    original = model.sums.forward
    model.sums.forward = lambda query, key, value, attention_mask=None, cache=None: original(query, key, value)


@partial(ModelBug, "padding of the queries masked", ENCODER, "keras", "forward", "sums")
def queries_masked(model: Any) -> None:
    original = model.sums.call

    def call(query: Any, key: Any, value: Any, attention_mask: Any, cache: Any = None) -> Any:
        return original(query * ops.cast(attention_mask, query.dtype)[:, None, :, None], key, value)

    model.sums.call = call


@partial(ModelBug, "values masked, keys counted", CAUSAL, "keras", "forward_training", "sums")
def values_masked(model: Any) -> None:
    original = model.sums.call

    def call(query: Any, key: Any, value: Any, attention_mask: Any, cache: Any = None) -> Any:
        return original(query, key, value * ops.cast(attention_mask, value.dtype)[:, None, :, None])

    model.sums.call = call


@partial(ModelBug, "mask before the feature map, of which zero is one", ENCODER, "torch", "forward", "linear_attention")
def mask_before_features(model: Any) -> None:
    def forward(x: torch.Tensor, attention_mask: torch.Tensor, cache: Any = None) -> torch.Tensor:
        query, key, value = (
            part(x).unflatten(-1, (model.spec.num_heads, -1)).transpose(1, 2)
            for part in (model.query, model.key, model.value)
        )
        key = model.feature_map(key * attention_mask[:, None, :, None])
        attended = model.sums(model.feature_map(query), key, value)
        return model.projection(attended.transpose(1, 2).flatten(2))

    model.forward = forward


@partial(ModelBug, "queries scaled as for softmax", OPEN, "keras", "forward", "linear_attention")
def scaled_queries(model: Any) -> None:
    def call(x: Any, attention_mask: Any = None, cache: Any = None, training: bool = False) -> Any:
        query, key, value = (part(x)[:, None] for part in (model.query, model.key, model.value))
        query = model.feature_map(query / ops.sqrt(constant(float(query.shape[-1]), query)))
        return model.projection(model.sums(query, model.feature_map(key), value)[:, 0])

    model.call = call


@partial(ModelBug, "feature map of the values as well", OPEN, "torch", "forward_training", "linear_attention")
def mapped_values(model: Any) -> None:
    def forward(x: torch.Tensor, attention_mask: Any = None, cache: Any = None) -> torch.Tensor:
        mapped = (model.feature_map(part(x)[:, None]) for part in (model.query, model.key, model.value))
        return model.projection(model.sums(*mapped)[:, 0])

    model.forward = forward


@partial(ModelBug, "epsilon left out, so that what attends to nothing is 0 / 0", CAUSAL, "keras", "forward", "sums")
def no_epsilon(model: Any) -> None:
    model.sums.epsilon = 0.0


@partial(ModelBug, "bias of the key taken to be inert", OPEN, "torch", "gradients", "key")
def bias_left_out(model: Any) -> None:
    model.key.forward = lambda x: x @ model.key.weight.T


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
