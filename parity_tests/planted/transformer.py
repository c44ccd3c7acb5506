"""Mistakes in porting a Transformer of encoder and decoder."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diglot.core import registry
from diglot.keras_impl.embedding import Embedding
from diglot.keras_impl.precision import precision
from keras import ops
from torch import nn

from . import ModelBug

SMALL = registry.make("transformer_small")
SHARED = registry.make("transformer_small_shared")
CROSS = "decoder.blocks.0.cross_attention"
PRE = registry.make("transformer_small", norm="pre", num_decoder_layers=1)


@partial(ModelBug, "cross-attention that attends to the target", SMALL, "torch", "forward", CROSS)
def cross_attention_to_the_target(model: Any) -> None:
    block = model.decoder.blocks[0]
    attend = block.cross_attention.forward
    block.cross_attention.forward = lambda x, key, value, mask=None, cache=None: attend(x, x, x)


@partial(ModelBug, "cross-attention left out, as in the document", SMALL, "keras", "gradients", CROSS)
def no_cross_attention(model: Any) -> None:
    model.decoder.blocks[0].cross_attention.call = lambda query, *rest, **options: ops.zeros_like(query)


@partial(ModelBug, "queries and memory exchanged", PRE, "keras", "forward", CROSS)
def queries_from_the_memory(model: Any) -> None:
    block = model.decoder.blocks[0]
    attend = block.cross_attention.call

    def call(query: Any, key: Any, value: Any, attention_mask: Any = None, **options: Any) -> Any:
        return attend(key, query, query, None, **options)

    block.cross_attention.call = call


@partial(ModelBug, "padding of the source attended to", SMALL, "torch", "forward", "transformer")
def cross_mask_forgotten(model: Any) -> None:
    model.forward = lambda source, target: model.decoder(target, model.encoder(source), None)


@partial(ModelBug, "padding of the target for that of the source", SMALL, "keras", "forward_training", "transformer")
def mask_of_the_target(model: Any) -> None:
    def call(source: Any, target: Any, training: bool = False) -> Any:
        memory = model.encoder(source, training=training)
        return model.decoder(target, memory, model.cross_mask(target), training=training)

    model.call = call


@partial(ModelBug, "sense of the cross mask turned round", SMALL, "keras", "forward", "cross_mask")
def cross_mask_turned_round(model: Any) -> None:
    model.cross_mask.call = lambda source: ops.equal(source, SMALL.pad_token_id)[:, None, None]


@partial(ModelBug, "look-ahead mask one position too wide", SMALL, "torch", "forward", "decoder.mask")
def sees_the_next_token(model: Any) -> None:
    def forward(target: torch.Tensor, start: int = 0) -> torch.Tensor:
        time = target.shape[1]
        mask = torch.ones(1, 1, time, time, dtype=torch.bool).tril(1)
        return mask & (target != SMALL.pad_token_id)[:, None, None]

    model.decoder.mask.forward = forward


@partial(ModelBug, "look-ahead mask that forgets the padding", SMALL, "keras", "forward", "decoder.mask")
def target_padding_leaks(model: Any) -> None:
    model.decoder.mask.pad_token_id = None


@partial(ModelBug, "target shifted once more", SHARED, "torch", "forward", "transformer")
def shifted_twice(model: Any) -> None:
    def forward(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        start = torch.full_like(target[:, :1], SHARED.start_token_id)
        return model.decoder(torch.cat([start, target[:, :-1]], dim=1), model.encoder(source))

    model.forward = forward


@partial(ModelBug, "embedding of the target not scaled", SMALL, "keras", "forward", "decoder")
def decoder_unscaled(model: Any) -> None:
    model.decoder.scale = 1.0


@partial(ModelBug, "shared embedding that is not shared", SHARED, "torch", "structure", "decoder.token_embedding")
def embedding_of_its_own(model: Any) -> None:
    model.decoder.token_embedding = nn.Embedding(SHARED.written, SHARED.d_model).double()


@partial(ModelBug, "target embedded by a table of its own", SHARED, "keras", "structure", "decoder.token_embedding")
def table_of_its_own(model: Any) -> None:
    with precision("float64"):
        table = Embedding(SHARED.written, SHARED.d_model)
        table.build(None)
    model.decoder.token_embedding = table


@partial(ModelBug, "tied head that reads the table upside down", SHARED, "keras", "gradients", "decoder.head")
def tied_head_upside_down(model: Any) -> None:
    head = model.decoder.head
    head.call = lambda x, table: ops.matmul(x, ops.transpose(ops.flip(table, axis=0))) + head.bias


@partial(ModelBug, "memory taken before the encoder's last norm", PRE, "torch", "forward", "encoder.norm")
def memory_before_the_norm(model: Any) -> None:
    model.encoder.norm.forward = lambda x: x


@partial(ModelBug, "decoder without its last norm", PRE, "keras", "forward", "decoder")
def decoder_without_last_norm(model: Any) -> None:
    decoder = model.decoder

    def call(target: Any, memory: Any, cross_mask: Any = None, training: bool = False) -> Any:
        x, mask = decoder.embed(target, training=training), decoder.mask(target)
        for block in decoder.blocks:
            x = block(x, mask, memory, cross_mask, training=training)
        return decoder.logits(x)

    decoder.call = call


@partial(ModelBug, "dropout after the sum instead of before it", SMALL, "torch", "forward_training", "decoder.blocks.0")
def dropout_after_the_sum(model: Any) -> None:
    block = model.decoder.blocks[0]

    def forward(x: Any, attention_mask: Any, memory: Any, cross_mask: Any = None, **kept: Any) -> torch.Tensor:
        x = block.norm1(block.dropout1(x + block.attention(x, x, x, attention_mask)))
        x = block.norm2(block.dropout2(x + block.cross_attention(x, memory, memory, cross_mask)))
        return block.norm3(block.dropout3(x + block.feed_forward(x)))

    block.forward = forward


@partial(ModelBug, "memory of a later source kept in the cache", SMALL, "torch", "generation", CROSS)
def memory_rolled(model: Any) -> None:
    start = model.start

    def started(batch: int, source: torch.Tensor) -> Any:
        cache = start(batch, source)
        cache.layers[1].key = cache.layers[1].key.roll(1, dims=0)
        return cache

    model.start = started


@partial(ModelBug, "padding of the source attended to in the cache", SMALL, "keras", "generation", "transformer")
def cached_padding_leaks(model: Any) -> None:
    start = model.start

    def started(batch: int, source: Any) -> Any:
        cache = start(batch, source)
        cache.memory = ops.ones_like(cache.memory)
        return cache

    model.start = started


BUGS = tuple(bug for bug in list(globals().values()) if isinstance(bug, ModelBug))
