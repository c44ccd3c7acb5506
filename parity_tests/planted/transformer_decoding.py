"""Mistakes in a decoder that attends to a source, which it encodes once: the forward pass is right in all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf
import torch
from diglot.core import registry
from keras import ops

from . import ModelBug

SMALL = registry.make("transformer_small", num_encoder_layers=1, max_len=8).rounded()
CROSS = "decoder.blocks.0.cross_attention"


def bug(name: str, spec: Any, side: str, where: str) -> Callable[[Callable[[Any], None]], ModelBug]:
    """A mistake in generation."""
    return partial(ModelBug, name, spec, side, "generation", where)


def started(model: Any, change: Callable[[Any], None]) -> None:
    """Change every cache that a model starts with."""
    start = model.start

    def changed(*given: Any) -> Any:
        cache = start(*given)
        change(cache)
        return cache

    model.start = changed


@bug("encoded source not reordered with the rows", SMALL, "torch", CROSS)
def source_stays(model: Any) -> None:
    def change(cache: Any) -> None:
        class Staying(type(cache.layers[1])):
            def load(self, tensors: Any) -> None:
                rows = torch.arange(len(tensors[0])) % len(self.key)
                super().load([kept[rows] for kept in self.tensors()])

        for kept in cache.layers[1::2]:
            kept.__class__ = Staying

    started(model, change)


@bug("padding of the source not reordered with the rows", SMALL, "keras", "transformer")
def padding_stays(model: Any) -> None:
    def change(cache: Any) -> None:
        class Staying(type(cache)):
            def load(self, tensors: Any) -> None:
                before, same = self.memory, tensors[0].shape[1] == self.tokens.shape[1]
                super().load(tensors)
                if tf.executing_eagerly() and same:  # the rows alone change
                    self.memory = tf.gather(before, tf.range(len(self.memory)) % len(before))

        cache.__class__ = Staying

    started(model, change)


@bug("padding of the source attended to in the steps", SMALL, "torch", "transformer")
def padding_seen(model: Any) -> None:
    def change(cache: Any) -> None:
        cache.memory = torch.ones_like(cache.memory)

    started(model, change)


@bug("source kept of the first block in all of them", SMALL, "keras", "decoder.blocks.1.cross_attention")
def source_of_the_first_block(model: Any) -> None:
    def change(cache: Any) -> None:
        cache.layers[3].load(cache.layers[1].tensors())

    started(model, change)


@bug("heads of the kept source in another order", SMALL, "keras", CROSS)
def heads_reversed(model: Any) -> None:
    def change(cache: Any) -> None:
        kept = cache.layers[1]
        kept.load([ops.flip(kept.key, axis=1), kept.value])

    started(model, change)


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
