"""Mistakes in a decoder that keeps keys and values: the forward pass is right in all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf
import torch
from diglot.core import registry
from diglot.keras_impl.exact import constant
from keras import ops

from . import ModelBug

SHORT = {"num_layers": 1, "max_len": 8}
POST = registry.make("transformer_lm_small", **SHORT).rounded()
PRE = registry.make("transformer_lm_small_pre", **SHORT).rounded()
ROTARY = registry.make("transformer_lm_small_llama", **SHORT).rounded()


def bug(name: str, spec: Any, side: str, where: str) -> Callable[[Callable[[Any], None]], ModelBug]:
    """A mistake in generation."""
    return partial(ModelBug, name, spec, side, "generation", where)


def kept_by(model: Any, form: Callable[[type], type]) -> None:
    """Let every attention of a model keep its keys and values in another form."""
    start = model.start

    def started(*given: Any) -> Any:
        cache = start(*given)
        for kept in cache.layers:
            kept.__class__ = form(type(kept))
        return cache

    model.start = started


@bug("position of a new token counted from the first new one", POST, "torch", "positions")
def positions_from_zero(model: Any) -> None:
    forward = model.positions.forward
    model.positions.forward = lambda x, start=0: forward(x)


@bug("position of a new token one behind", PRE, "keras", "positions")
def positions_one_behind(model: Any) -> None:
    call = model.positions.call
    model.positions.call = lambda x, start=0: call(x, start=ops.maximum(start - 1, 0))


@bug("rotary angle of a new token counted from the first new one", ROTARY, "torch", "blocks.0.attention.rotary")
def rotary_from_zero(model: Any) -> None:
    for block in model.blocks:
        forward = block.attention.rotary.forward
        block.attention.rotary.forward = lambda x, start=0, forward=forward: forward(x)


@bug("new keys turned and new queries not", ROTARY, "keras", "blocks.0.attention")
def queries_not_turned(model: Any) -> None:
    rotary, heads = model.blocks[0].attention.rotary, model.spec.num_heads
    call = rotary.call
    rotary.call = lambda x, start=0: call(x, start=0 if x.shape[1] == heads else start)


@bug("kept keys turned once more", ROTARY, "torch", "blocks.0.attention")
def keys_turned_twice(model: Any) -> None:
    rotary = model.blocks[0].attention.rotary

    def form(usual: type) -> type:
        class Turned(usual):
            def extended(self, key: Any, value: Any) -> Any:
                self.key = rotary(self.key)
                return super().extended(key, value)

        return Turned

    kept_by(model, form)


@bug("new keys put before the kept ones", POST, "torch", "blocks.0.attention")
def keys_in_front(model: Any) -> None:
    def form(usual: type) -> type:
        class Reversed(usual):
            def extended(self, key: Any, value: Any) -> Any:
                before, (_, value) = self.key, super().extended(key, value)
                self.key = torch.cat([key, before], dim=2)
                return self.key, value

        return Reversed

    kept_by(model, form)


@bug("kept keys and values swapped", PRE, "keras", "blocks.0.attention")
def swapped(model: Any) -> None:
    def form(usual: type) -> type:
        class Swapped(usual):
            def extended(self, key: Any, value: Any) -> Any:
                found = super().extended(key, value)
                self.key, self.value = self.value, self.key
                return found

        return Swapped

    kept_by(model, form)


@bug("kept keys moved on by one position", PRE, "torch", "blocks.0.attention")
def keys_moved(model: Any) -> None:
    def form(usual: type) -> type:
        class Moving(usual):
            def extended(self, key: Any, value: Any) -> Any:
                found = super().extended(key, value)
                self.key = torch.cat([self.key[:, :, :1], self.key[:, :, :-1]], dim=2)
                return found

        return Moving

    kept_by(model, form)


@bug("values not reordered with the rows", POST, "torch", "blocks.0.attention")
def values_stay(model: Any) -> None:
    def form(usual: type) -> type:
        class Staying(usual):
            def load(self, tensors: Any) -> None:
                key, _ = tensors
                self.key, self.value = key, self.value[torch.arange(len(key)) % len(self.value)]

        return Staying

    kept_by(model, form)


@bug("keys and values not reordered with the rows", POST, "keras", "blocks.0.attention")
def rows_stay(model: Any) -> None:
    def form(usual: type) -> type:
        class Staying(usual):
            def load(self, tensors: Any) -> None:
                if tf.executing_eagerly() and tensors[0].shape[2] == self.key.shape[2]:  # the rows alone change
                    rows = tf.range(len(tensors[0])) % len(self.key)
                    tensors = [tf.gather(kept, rows) for kept in self.tensors()]
                super().load(tensors)

        return Staying

    kept_by(model, form)


@bug("tokens not reordered with the rows, so other positions are padding", PRE, "keras", "transformer_lm")
def tokens_stay(model: Any) -> None:
    start = model.start

    def started(*given: Any) -> Any:
        cache = start(*given)

        class Staying(type(cache)):
            def load(self, tensors: Any) -> None:
                if tf.executing_eagerly() and tensors[0].shape[1] == self.tokens.shape[1]:
                    rows = tf.range(len(tensors[0])) % len(self.tokens)
                    tensors = [tf.gather(self.tokens, rows), *tensors[1:]]
                super().load(tensors)

        cache.__class__ = Staying
        return cache

    model.start = started


@bug("look-ahead mask of a step counted from its own first position", POST, "torch", "mask")
def mask_from_zero(model: Any) -> None:
    forward = model.mask.forward

    def masked(tokens: torch.Tensor, start: int = 0) -> torch.Tensor:
        return forward(tokens, start).tril()

    model.mask.forward = masked


@bug("a new token does not see itself", POST, "keras", "mask")
def mask_one_behind(model: Any) -> None:
    call = model.mask.call

    def masked(tokens: Any, start: Any = 0) -> Any:
        mask, time = call(tokens, start), ops.shape(tokens)[1]
        return ops.where(start > 0, mask & (ops.arange(time) < time - 1), mask)

    model.mask.call = masked


@bug("padding among kept tokens forgotten", PRE, "torch", "mask")
def padding_forgotten(model: Any) -> None:
    forward = model.mask.forward

    def masked(tokens: torch.Tensor, start: int = 0) -> torch.Tensor:
        unknown = torch.arange(tokens.shape[1]) < start
        return forward(tokens.masked_fill(unknown, 1), start)

    model.mask.forward = masked


@bug("last norm left out of the steps", PRE, "torch", "transformer_lm")
def norm_left_out(model: Any) -> None:
    decode, norm = model.decode, model.norm

    def decoded(tokens: torch.Tensor, cache: Any) -> torch.Tensor:
        if cache.tokens.shape[1]:
            model.norm = torch.nn.Identity()
        try:
            return decode(tokens, cache)
        finally:
            model.norm = norm

    model.decode = decoded


@bug("embedding of a new token not scaled", POST, "keras", "transformer_lm")
def embedding_not_scaled(model: Any) -> None:
    def embedded(tokens: Any, token_types: Any = None, start: Any = 0, training: bool = False) -> Any:
        x = model.token_embedding(tokens)
        x = ops.where(start > 0, x, x * constant(model.scale, x))
        return model.dropout(model.positions(x, start=start), training=training)

    model.embed = embedded


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
