"""Mistakes in porting additive attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diglot.core import registry
from diglot.core.transformer_parts import MASKED_SCORE
from diglot.keras_impl.exact import constant
from keras import ops

from . import ModelBug

MASKED = registry.make("additive_attention_small")
OPEN = registry.make("additive_attention_small_open")


def torch_hidden(model: Any, hidden: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    """Attention whose tanh is taken of `hidden(queries, keys)`."""

    def forward(query: Any, values: Any, attention_mask: Any = None) -> Any:
        found = hidden(model.query(query)[:, :, None], model.key(values)[:, None])
        attended = None if attention_mask is None else (attention_mask != 0)[:, None]
        weights = model.map(model.score(model.tanh(found))[..., 0], attended)
        return (weights @ values, weights) if model.spec.need_weights else weights @ values

    model.forward = forward


@partial(ModelBug, "query ignored", OPEN, "torch", "forward", "additive_attention")
def query_ignored(model: Any) -> None:
    torch_hidden(model, lambda queries, keys: torch.zeros_like(queries) + keys)


@partial(ModelBug, "query multiplied with the key", MASKED, "torch", "forward_training", "additive_attention")
def multiplied(model: Any) -> None:
    torch_hidden(model, lambda queries, keys: queries * keys)


@partial(ModelBug, "gradient stopped at the query", OPEN, "torch", "gradients", "additive_attention")
def query_detached(model: Any) -> None:
    torch_hidden(model, lambda queries, keys: queries.detach() + keys)


@partial(ModelBug, "mean of the keys instead of the values", OPEN, "keras", "forward", "additive_attention")
def mean_of_the_keys(model: Any) -> None:
    def call(query: Any, values: Any, attention_mask: Any = None, training: bool = False) -> Any:
        keys = model.key(values)
        weights = model.map(model.score(model.tanh(model.query(query)[:, :, None] + keys[:, None]))[..., 0])
        padded = ops.pad(keys, ((0, 0), (0, 0), (0, model.spec.value_size - model.spec.units)))
        return weights @ padded

    model.call = call


@partial(ModelBug, "ReLU for tanh", MASKED, "keras", "forward_training", "tanh")
def relu_for_tanh(model: Any) -> None:
    model.tanh.call = lambda x: ops.relu(x)


@partial(ModelBug, "tanh forgotten, so that softmax cancels the query", OPEN, "torch", "forward_training", "tanh")
def tanh_forgotten(model: Any) -> None:
    model.tanh.forward = lambda x: x


@partial(ModelBug, "softmax over the queries for the keys", OPEN, "keras", "forward", "map")
def softmax_over_queries(model: Any) -> None:
    model.map.call = lambda scores, attention_mask=None: ops.softmax(scores, axis=1)


@partial(ModelBug, "padding of the source attended to", MASKED, "keras", "forward_training", "map")
def mask_ignored(model: Any) -> None:
    model.map.call = lambda scores, attention_mask=None: ops.softmax(scores, axis=-1)


@partial(ModelBug, "mask of what to leave out", MASKED, "torch", "forward", "map")
def mask_inverted(model: Any) -> None:
    original = model.map.forward
    model.map.forward = lambda scores, attention_mask: original(scores, ~attention_mask)


@partial(ModelBug, "source without a word attended to evenly", MASKED, "torch", "gradients", "map")
def even_weights(model: Any) -> None:
    def forward(scores: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return torch.softmax(scores.masked_fill(~attention_mask, MASKED_SCORE), dim=-1)

    model.map.forward = forward


@partial(ModelBug, "mask multiplied with the weights after softmax", MASKED, "keras", "gradients", "map")
def late_mask(model: Any) -> None:
    def call(scores: Any, attention_mask: Any) -> Any:
        return ops.softmax(scores, axis=-1) * ops.cast(attention_mask, scores.dtype)

    model.map.call = call


@partial(ModelBug, "mask as a score of minus ten", MASKED, "keras", "forward", "map")
def soft_mask(model: Any) -> None:
    def call(scores: Any, attention_mask: Any) -> Any:
        weights = ops.softmax(ops.where(attention_mask, scores, scores - constant(10.0, scores)), axis=-1)
        return ops.where(ops.any(attention_mask, axis=-1, keepdims=True), weights, constant(0.0, weights))

    model.map.call = call


@partial(ModelBug, "bias of the key left out", OPEN, "keras", "gradients", "key")
def bias_left_out(model: Any) -> None:
    model.key.call = lambda x, training=None: x @ model.key.kernel


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
