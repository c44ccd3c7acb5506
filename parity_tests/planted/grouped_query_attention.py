"""Mistakes in porting grouped-query attention and rotary positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from diglot.core import registry
from diglot.keras_impl import attention as keras_parts
from diglot.torch_impl import attention as torch_parts
from keras import ops

from . import ModelBug
from .multi_head_attention import keras_weigh, torch_weigh

HALVES = registry.make("grouped_query_attention_small")
NEIGHBOURS = registry.make("grouped_query_attention_small_interleaved")
WHOLE = "grouped_query_attention"
Parts = tuple[Any, Any, Any]


def torch_attention(model: Any, turn: Callable[..., Parts], share: Callable[..., Any] | None = None) -> None:
    """An attention over what `turn(query, key, value)` makes of the heads; `share` gives the heads of keys to all."""
    repeated = share or (lambda x, count: x.repeat_interleave(count, dim=1))

    def forward(x: torch.Tensor, attention_mask: Any = None, cache: Any = None) -> torch.Tensor:
        counts = ((model.query, model.num_heads), (model.key, model.groups), (model.value, model.groups))
        query, key, value = turn(*(torch_parts.split_heads(layer(x), count) for layer, count in counts))
        key, value = (repeated(part, model.num_heads // model.groups) for part in (key, value))
        weights = torch_weigh(model, query, key, torch_parts.as_mask(attention_mask, query, key, model.spec.mask))
        return model.projection(torch_parts.join_heads(weights @ value))

    model.forward = forward


def keras_attention(model: Any, turn: Callable[..., Parts], share: Callable[..., Any] | None = None) -> None:
    """An attention over what `turn(query, key, value)` makes of the heads; `share` gives the heads of keys to all."""
    repeated = share or (lambda x, count: ops.repeat(x, count, axis=1))

    def call(x: Any, attention_mask: Any = None, cache: Any = None, training: bool = False) -> Any:
        counts = ((model.query, model.num_heads), (model.key, model.groups), (model.value, model.groups))
        query, key, value = turn(*(keras_parts.split_heads(layer(x), count) for layer, count in counts))
        key, value = (repeated(part, model.num_heads // model.groups) for part in (key, value))
        mask = keras_parts.as_mask(attention_mask, query, key, model.spec.mask)
        weights = keras_weigh(model, query, key, mask, training)
        return model.projection(keras_parts.join_heads(weights @ value))

    model.call = call


def turned(model: Any) -> Callable[..., Parts]:
    """Queries and keys turned by their positions, without a mistake."""
    return lambda query, key, value: (model.rotary(query), model.rotary(key), value)


@partial(ModelBug, "heads of keys tiled instead of repeated", HALVES, "torch", "forward", WHOLE)
def tiled_heads(model: Any) -> None:
    torch_attention(model, turned(model), lambda x, count: x.repeat(1, count, 1, 1))


@partial(ModelBug, "the first head of keys for all", HALVES, "keras", "gradients", WHOLE)
def first_head_for_all(model: Any) -> None:
    keras_attention(model, turned(model), lambda x, count: ops.repeat(x[:, :1], count * model.groups, axis=1))


@partial(ModelBug, "neighbours turned instead of halves", HALVES, "keras", "forward", "rotary")
def neighbours_for_halves(model: Any) -> None:
    model.rotary.interleaved = True


@partial(ModelBug, "halves turned instead of neighbours", NEIGHBOURS, "torch", "forward", "rotary")
def halves_for_neighbours(model: Any) -> None:
    model.rotary.interleaved = False


@partial(ModelBug, "rotary base 0.1% too large", NEIGHBOURS, "keras", "forward", "rotary")
def larger_base(model: Any) -> None:
    spec = model.spec
    other = type(model.rotary)(spec.max_len, spec.size, spec.rotary_base * 1.001, spec.rotary_pairs)
    model.rotary.sine, model.rotary.cosine = other.sine, other.cosine


@partial(ModelBug, "turned the other way", HALVES, "torch", "forward", "rotary")
def other_way(model: Any) -> None:
    model.rotary.sine = -model.rotary.sine


@partial(ModelBug, "frequencies spread over the half of the channels", HALVES, "keras", "forward_training", "rotary")
def other_frequencies(model: Any) -> None:
    length, pairs = model.rotary.sine.shape
    angles = np.outer(np.arange(length), model.spec.rotary_base ** (-np.arange(pairs) / (2 * pairs)))
    model.rotary.sine, model.rotary.cosine = np.sin(angles), np.cos(angles)


@partial(ModelBug, "turned by the head's number", HALVES, "torch", "forward_training", "rotary")
def turned_by_head(model: Any) -> None:
    original = model.rotary.forward
    model.rotary.forward = lambda x, start=0: original(x.transpose(1, 2)).transpose(1, 2)


@partial(ModelBug, "values turned as well", HALVES, "keras", "forward", WHOLE)
def turned_values(model: Any) -> None:
    keras_attention(model, lambda *parts: tuple(map(model.rotary, parts)))


@partial(ModelBug, "keys not turned", NEIGHBOURS, "torch", "gradients", WHOLE)
def unturned_keys(model: Any) -> None:
    torch_attention(model, lambda query, key, value: (model.rotary(query), key, value))


@partial(ModelBug, "queries one position ahead of the keys", HALVES, "torch", "forward", WHOLE)
def queries_ahead(model: Any) -> None:
    torch_attention(model, lambda query, key, value: (model.rotary(query, start=1), model.rotary(key), value))


@partial(ModelBug, "scale of equal heads for keys of their own size", HALVES, "keras", "forward_training", WHOLE)
def scale_of_equal_heads(model: Any) -> None:
    factor = math.sqrt(model.spec.size / (model.spec.d_model // model.spec.num_heads))
    keras_attention(model, lambda query, key, value: (model.rotary(query) * factor, model.rotary(key), value))


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
