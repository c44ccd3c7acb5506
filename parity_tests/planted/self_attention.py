"""Mistakes in porting self-attention with one head."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from diglot.core import registry
from keras import ops

from . import ModelBug
from .multi_head_attention import keras_scores

OPEN = registry.make("self_attention_small")
CAUSAL = registry.make("self_attention_small_causal")


def torch_weighed(model: Any, weigh: Any) -> None:
    """Make it an attention whose map is `weigh(query, key)`."""

    def forward(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weights = weigh(model.query(x), model.key(x))
        return weights @ model.value(x), weights

    model.forward = forward


@partial(ModelBug, "look-ahead mask that shows the next position", CAUSAL, "torch", "forward", "self_attention")
def shows_next(model: Any) -> None:
    original = model.look_ahead
    model.look_ahead = lambda x: torch.ones_like(original(x)).tril(1)


@partial(ModelBug, "look-ahead mask that sees later positions", CAUSAL, "keras", "forward", "self_attention")
def sees_later(model: Any) -> None:
    original = model.look_ahead
    model.look_ahead = lambda x: ops.swapaxes(original(x), 1, 2)


@partial(ModelBug, "look-ahead mask missing", CAUSAL, "keras", "gradients", "self_attention")
def mask_missing(model: Any) -> None:
    model.causal = False


@partial(ModelBug, "scores divided by the root of the input's width", OPEN, "torch", "forward", "self_attention")
def scaled_by_width(model: Any) -> None:
    def weigh(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return model.map(query @ key.transpose(-2, -1) / math.sqrt(model.spec.d_model))

    torch_weighed(model, weigh)


@partial(ModelBug, "softmax over the queries", OPEN, "keras", "forward", "map")
def softmax_over_queries(model: Any) -> None:
    model.map.call = lambda scores, attention_mask=None: ops.softmax(scores, axis=1)


@partial(ModelBug, "queries and keys swapped", OPEN, "keras", "forward", "self_attention")
def swapped(model: Any) -> None:
    def call(x: Any, training: bool = False) -> Any:
        weights = model.map(keras_scores(model.key(x), model.query(x)))
        return weights @ model.value(x), weights

    model.call = call


@partial(ModelBug, "gradient stopped at the map", OPEN, "torch", "gradients", "self_attention")
def constant_map(model: Any) -> None:
    def weigh(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return model.map(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).detach()

    torch_weighed(model, weigh)


@partial(ModelBug, "rate of the dropout at PyTorch's default", CAUSAL, "torch", "forward_training", "dropout")
def other_rate(model: Any) -> None:
    model.dropout.p = 0.5


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
