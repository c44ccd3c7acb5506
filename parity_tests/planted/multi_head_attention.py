"""Mistakes in porting multi-head attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diglot.core import registry
from diglot.core.transformer_parts import MASKED_SCORE
from diglot.keras_impl import attention as keras_parts
from diglot.keras_impl.exact import constant
from diglot.torch_impl import attention as torch_parts
from keras import ops

from . import ModelBug

SMALL = registry.make("multi_head_attention_small")
CROSS = registry.make("multi_head_attention_small_cross", dropout_rate=0.1)
SIZES = registry.make("multi_head_attention_small_sizes")


def torch_attention(
    attention: Any,
    weigh: Callable[..., torch.Tensor],
    split: Callable[..., torch.Tensor] = torch_parts.split_heads,
    join: Callable[..., torch.Tensor] = torch_parts.join_heads,
) -> None:
    """Make it an attention whose dropped-out weights are `weigh(attention, query, key, mask)`."""

    def forward(query: Any, key: Any, value: Any, attention_mask: Any = None, cache: Any = None) -> Any:
        parts = attention.query(query), attention.key(key), attention.value(value)
        query, key, value = (split(part, attention.num_heads) for part in parts)
        mask = torch_parts.as_mask(attention_mask, query, key, attention.spec.mask)
        return attention.projection(join(weigh(attention, query, key, mask) @ value))

    attention.forward = forward


def keras_attention(
    attention: Any,
    weigh: Callable[..., Any],
    split: Callable[..., Any] = keras_parts.split_heads,
    join: Callable[..., Any] = keras_parts.join_heads,
) -> None:
    """Make it an attention whose dropped-out weights are `weigh(attention, query, key, mask, training)`."""

    def call(
        query: Any, key: Any, value: Any, attention_mask: Any = None, cache: Any = None, training: bool = False
    ) -> Any:
        parts = attention.query(query), attention.key(key), attention.value(value)
        query, key, value = (split(part, attention.num_heads) for part in parts)
        mask = keras_parts.as_mask(attention_mask, query, key, attention.spec.mask)
        return attention.projection(join(weigh(attention, query, key, mask, training) @ value))

    attention.call = call


def torch_scores(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Queries times keys, scaled."""
    return query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])


def keras_scores(query: Any, key: Any) -> Any:
    """Queries times keys, scaled."""
    return query @ ops.swapaxes(key, -2, -1) / constant(math.sqrt(query.shape[-1]), query)


def torch_weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
    """The weights without a mistake."""
    return attention.dropout(attention.map(torch_scores(query, key), mask))


def keras_weigh(attention: Any, query: Any, key: Any, mask: Any, training: bool) -> Any:
    """The weights without a mistake."""
    return attention.dropout(attention.map(keras_scores(query, key), mask), training=training)


@partial(ModelBug, "called as query, value, key", CROSS, "keras", "forward", "multi_head_attention")
def value_before_key(model: Any) -> None:
    original = model.call

    def call(query: Any, value: Any, key: Any, attention_mask: Any = None, training: bool = False) -> Any:
        return original(query, key, value, attention_mask, training=training)

    model.call = call


@partial(ModelBug, "True taken to say what to leave out", SMALL, "torch", "forward", "multi_head_attention")
def inverted_mask(model: Any) -> None:
    original = model.forward
    model.forward = lambda query, key, value, mask: original(query, key, value, 1 - mask)


@partial(ModelBug, "mask of numbers ignored", CROSS, "keras", "forward", "map")
def ignored_numbers(model: Any) -> None:
    model.map.call = lambda scores, attention_mask=None: ops.softmax(scores, axis=-1)


@partial(ModelBug, "mask of numbers multiplied with the scores", CROSS, "torch", "forward", "map")
def multiplied_numbers(model: Any) -> None:
    model.map.forward = lambda scores, attention_mask: torch.softmax(scores * attention_mask, dim=-1)


@partial(ModelBug, "a row that is masked everywhere is uniform", SMALL, "keras", "forward", "map")
def uniform_row(model: Any) -> None:
    def call(scores: Any, attention_mask: Any) -> Any:
        return ops.softmax(ops.where(attention_mask, scores, constant(MASKED_SCORE, scores)), axis=-1)

    model.map.call = call


@partial(ModelBug, "scale of equal heads for keys of their own size", SIZES, "torch", "forward", "multi_head_attention")
def scale_of_equal_heads(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        scale = math.sqrt(model.spec.d_model // model.spec.num_heads)
        return attention.map(query @ key.transpose(-2, -1) / scale)

    torch_attention(model, weigh)


@partial(ModelBug, "scores divided by the key's size, not its root", SIZES, "keras", "forward", "multi_head_attention")
def scaled_without_root(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any, training: bool) -> Any:
        return attention.map(query @ ops.swapaxes(key, -2, -1) / query.shape[-1])

    keras_attention(model, weigh)


@partial(ModelBug, "map averaged over the heads", CROSS, "torch", "forward", "multi_head_attention")
def averaged_map(model: Any) -> None:
    original = model.forward

    def forward(*inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        attended, weights = original(*inputs)
        return attended, weights.mean(dim=1, keepdim=True).expand_as(weights)

    model.forward = forward


@partial(ModelBug, "map given after its dropout", CROSS, "keras", "forward_training", "multi_head_attention")
def dropped_map(model: Any) -> None:
    original = model.call

    def call(*inputs: Any, training: bool = False) -> Any:
        attended, weights = original(*inputs, training=training)
        return attended, model.dropout(weights, training=training)

    model.call = call


@partial(ModelBug, "kernels of query and key swapped", SMALL, "keras", "forward", "multi_head_attention")
def swapped_kernels(model: Any) -> None:
    def call(query: Any, key: Any, value: Any, attention_mask: Any, training: bool = False) -> Any:
        parts = model.key(query), model.query(key), model.value(value)
        query, key, value = (keras_parts.split_heads(part, model.num_heads) for part in parts)
        weights = keras_weigh(model, query, key, ops.cast(attention_mask, "bool"), training)
        return model.projection(keras_parts.join_heads(weights @ value))

    model.call = call


@partial(ModelBug, "heads of the values split as the fastest axis", SMALL, "torch", "forward", "multi_head_attention")
def interleaved_values(model: Any) -> None:
    original = model.key_values

    def key_values(key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        keys, _ = original(key, value)
        return keys, model.value(value).unflatten(-1, (-1, model.num_heads)).permute(0, 3, 1, 2)

    model.key_values = key_values


@partial(ModelBug, "the first head's map used by all", SMALL, "torch", "gradients", "multi_head_attention")
def first_map_for_all(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        weights = attention.map(torch_scores(query, key), mask)
        return attention.dropout(weights[:, :1].expand_as(weights))

    torch_attention(model, weigh)


@partial(ModelBug, "dropout on what is attended to", SMALL, "keras", "forward_training", "multi_head_attention")
def dropout_of_attended(model: Any) -> None:
    def call(query: Any, key: Any, value: Any, attention_mask: Any, training: bool = False) -> Any:
        query = keras_parts.split_heads(model.query(query), model.num_heads)
        key, value = model.key_values(key, value)
        attended = model.map(keras_scores(query, key), ops.cast(attention_mask, "bool")) @ value
        return model.projection(keras_parts.join_heads(model.dropout(attended, training=training)))

    model.call = call


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
