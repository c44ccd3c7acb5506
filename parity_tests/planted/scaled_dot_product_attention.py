"""Mistakes in porting scaled dot-product attention."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from diglot.core import registry
from diglot.core.transformer_parts import MASKED_SCORE
from diglot.keras_impl.exact import constant
from keras import ops

from . import ModelBug
from .multi_head_attention import keras_scores, torch_scores

BOOLEAN = registry.make("scaled_dot_product_attention_small")
ADDITIVE = registry.make("scaled_dot_product_attention_small_additive", dropout_rate=0.1)
WHOLE = "scaled_dot_product_attention"


@partial(ModelBug, "softmax over the heads", ADDITIVE, "torch", "forward", "map")
def softmax_over_heads(model: Any) -> None:
    model.map.forward = lambda scores, attention_mask: torch.softmax(scores + attention_mask, dim=1)


@partial(ModelBug, "softmax over the queries", ADDITIVE, "keras", "forward", "map")
def softmax_over_queries(model: Any) -> None:
    model.map.call = lambda scores, attention_mask: ops.softmax(scores + attention_mask, axis=-2)


@partial(ModelBug, "scale by the size of the values", BOOLEAN, "torch", "forward", WHOLE)
def scaled_by_values(model: Any) -> None:
    def forward(query: Any, key: Any, value: Any, attention_mask: Any) -> torch.Tensor:
        scores = query @ key.transpose(-2, -1) / math.sqrt(value.shape[-1])
        return model.dropout(model.map(scores, attention_mask.bool())) @ value

    model.forward = forward


@partial(ModelBug, "scores not scaled", BOOLEAN, "keras", "gradients", WHOLE)
def unscaled(model: Any) -> None:
    def call(query: Any, key: Any, value: Any, attention_mask: Any, training: bool = False) -> Any:
        weights = model.map(query @ ops.swapaxes(key, -2, -1), ops.cast(attention_mask, "bool"))
        return model.dropout(weights, training=training) @ value

    model.call = call


@partial(ModelBug, "mask scaled with the scores", ADDITIVE, "torch", "forward", WHOLE)
def scaled_mask(model: Any) -> None:
    def forward(query: Any, key: Any, value: Any, attention_mask: Any) -> tuple[torch.Tensor, torch.Tensor]:
        weights = model.map(torch_scores(query, key), attention_mask / math.sqrt(query.shape[-1]))
        return model.dropout(weights) @ value, weights

    model.forward = forward


@partial(ModelBug, "True taken to say what to leave out", BOOLEAN, "keras", "forward", "map")
def inverted_mask(model: Any) -> None:
    original = model.map.call
    model.map.call = lambda scores, attention_mask: original(scores, ops.logical_not(attention_mask))


@partial(ModelBug, "a large number subtracted, so that nothing is left out of an empty row", BOOLEAN, "torch",
         "forward", "map")  # fmt: skip
def subtracted_mask(model: Any) -> None:
    model.map.forward = lambda scores, attention_mask: torch.softmax(scores + ~attention_mask * MASKED_SCORE, dim=-1)


@partial(ModelBug, "masked after the softmax", BOOLEAN, "keras", "gradients", "map")
def masked_late(model: Any) -> None:
    def call(scores: Any, attention_mask: Any) -> Any:
        return ops.where(attention_mask, ops.softmax(scores, axis=-1), constant(0.0, scores))

    model.map.call = call


@partial(ModelBug, "dropout on the scores", BOOLEAN, "torch", "forward_training", WHOLE)
def dropped_scores(model: Any) -> None:
    def forward(query: Any, key: Any, value: Any, attention_mask: Any) -> torch.Tensor:
        return model.map(model.dropout(torch_scores(query, key)), attention_mask.bool()) @ value

    model.forward = forward


@partial(ModelBug, "weights given after their dropout", ADDITIVE, "keras", "forward_training", WHOLE)
def dropped_weights(model: Any) -> None:
    def call(query: Any, key: Any, value: Any, attention_mask: Any, training: bool = False) -> Any:
        weights = model.dropout(model.map(keras_scores(query, key), attention_mask), training=training)
        return weights @ value, weights

    model.call = call


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
