"""Mistakes in porting a Transformer of linear attention and gated linear units."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diglot.core import registry
from keras import ops

from . import ModelBug

POST = registry.make("efficient_transformer_small")
PRE = registry.make("efficient_transformer_small_pre")
ENCODER = registry.make("efficient_transformer_small_encoder")
NETWORK, SUMS = "blocks.0.feed_forward", "blocks.0.attention.sums"


def torch_gated(model: Any, gated: Callable[..., torch.Tensor]) -> None:
    """A feed-forward network in the first block whose contraction is of `gated(network, x)`."""
    network = model.blocks[0].feed_forward
    network.forward = lambda x: network.contract(gated(network, x))


def keras_gated(model: Any, gated: Callable[..., Any]) -> None:
    """The same of `gated(network, x, training)`."""
    network = model.blocks[0].feed_forward
    network.call = lambda x, training=False: network.contract(gated(network, x, training))


@partial(ModelBug, "gate and value swapped", POST, "torch", "forward", NETWORK)
def gate_and_value_swapped(model: Any) -> None:
    torch_gated(model, lambda network, x: network.dropout(network.gate(x) * network.activation(network.expand(x))))


@partial(ModelBug, "gate added to the value", PRE, "keras", "forward_training", NETWORK)
def gate_added(model: Any) -> None:
    keras_gated(model, lambda network, x, training: network.dropout(
        network.activation(network.gate(x)) + network.expand(x), training=training))  # fmt: skip


@partial(ModelBug, "gate not used", ENCODER, "torch", "gradients", NETWORK)
def gate_not_used(model: Any) -> None:
    torch_gated(model, lambda network, x: network.activation(network.expand(x)))


@partial(ModelBug, "one half for gate and value", ENCODER, "keras", "forward", NETWORK)
def one_for_both(model: Any) -> None:
    keras_gated(model, lambda network, x, training: network.activation(network.gate(x)) * network.gate(x))


@partial(ModelBug, "gate without its logistic function", ENCODER, "keras", "forward_training", f"{NETWORK}.activation")
def bilinear_gate(model: Any) -> None:
    model.blocks[0].feed_forward.activation.call = lambda x: x


@partial(ModelBug, "swiglu for glu", POST, "torch", "forward_training", f"{NETWORK}.activation")
def swiglu_for_glu(model: Any) -> None:
    model.blocks[0].feed_forward.activation = torch.nn.SiLU()


@partial(ModelBug, "GELU for the gate of swiglu", PRE, "keras", "gradients", f"{NETWORK}.activation")
def gelu_gate(model: Any) -> None:
    model.blocks[0].feed_forward.activation.call = lambda x: ops.gelu(x, approximate=False)


@partial(ModelBug, "dropout of the gate instead of the product", PRE, "torch", "forward_training", NETWORK)
def dropout_of_the_gate(model: Any) -> None:
    torch_gated(model, lambda network, x: network.activation(network.dropout(network.gate(x))) * network.expand(x))


@partial(ModelBug, "two dense layers as in the document", PRE, "torch", "structure", f"{NETWORK}.gate")
def no_gate(model: Any) -> None:
    model.blocks[0].feed_forward.gate = None


@partial(ModelBug, "padding alone attended to", POST, "keras", "forward", "mask")
def mask_inverted(model: Any) -> None:
    original = model.mask.call
    model.mask.call = lambda tokens: ops.logical_not(original(tokens))


@partial(ModelBug, "another token taken for padding", ENCODER, "torch", "forward_training", "mask")
def other_padding(model: Any) -> None:
    model.mask.pad_token_id = 0


@partial(ModelBug, "mask not passed on to the attention", ENCODER, "torch", "forward", "blocks.0")
def mask_dropped(model: Any) -> None:
    block = model.blocks[0]
    original = block.forward
    block.forward = lambda x, attention_mask=None, cache=None: original(x)


@partial(ModelBug, "future attended to", PRE, "keras", "forward", SUMS)
def not_causal(model: Any) -> None:
    model.blocks[0].attention.sums.causal = False


@partial(ModelBug, "last chunk without its own positions", POST, "torch", "gradients", SUMS)
def last_chunk_lost(model: Any) -> None:
    sums = model.blocks[0].attention.sums
    original = sums.forward

    def forward(query: Any, key: Any, value: Any, attention_mask: Any = None, cache: Any = None) -> torch.Tensor:
        size = sums.chunk_size
        kept = torch.arange(key.shape[2]) < key.shape[2] // size * size
        return original(query, key * kept[:, None], value, attention_mask)

    sums.forward = forward


@partial(ModelBug, "norm before each sublayer for the norm after it", POST, "keras", "forward_training", "blocks.0")
def pre_for_post(model: Any) -> None:
    model.blocks[0].pre_norm = True


@partial(ModelBug, "positions of each piece counted from zero", POST, "torch", "generation", "positions")
def positions_from_zero(model: Any) -> None:
    original = model.embed
    model.embed = lambda tokens, start=0: original(tokens)


@partial(ModelBug, "position of the step one late", PRE, "keras", "generation", "positions")
def position_late(model: Any) -> None:
    original = model.embed

    model.embed = lambda tokens, start=0: original(tokens, start=start - ops.cast(start > 0, "int32"))


@partial(ModelBug, "sums not kept from step to step", PRE, "torch", "generation", SUMS)
def sums_forgotten(model: Any) -> None:
    original = model.blocks[0].attention.sums.forward

    def forward(*arguments: Any, cache: Any = None) -> torch.Tensor:
        return original(*arguments, cache=None if cache is None else type(cache)(cache.s, cache.z))

    model.blocks[0].attention.sums.forward = forward


@partial(ModelBug, "normaliser of the last step alone", POST, "keras", "generation", SUMS)
def normaliser_replaced(model: Any) -> None:
    original = model.blocks[0].attention.sums.call

    def call(*arguments: Any, cache: Any = None) -> Any:
        before = None if cache is None else cache.z
        result = original(*arguments, cache=cache)
        if cache is not None:
            cache.z = cache.z - before
        return result

    model.blocks[0].attention.sums.call = call


@partial(ModelBug, "sums not reordered with their rows", PRE, "torch", "generation", SUMS)
def rows_kept(model: Any) -> None:
    original = model.start

    def start(batch: int) -> Any:
        cache = original(batch)
        memory = cache.layers[0]

        def load(tensors: list[torch.Tensor]) -> None:
            rows = torch.arange(len(tensors[0])) % len(memory.s)
            memory.s, memory.z = memory.s[rows], memory.z[rows]

        memory.load = load
        return cache

    model.start = start


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
