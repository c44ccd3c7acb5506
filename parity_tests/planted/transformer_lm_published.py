"""Mistakes in porting the Transformers that are published: BERT, GPT-2 and LLaMA, their heads, norms and gates."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from diglot.keras_impl.exact import constant
from keras import ops

from . import ModelBug

SHORT = {"max_len": 8, "num_layers": 1}
TIED = registry.make("transformer_lm_small_pre", **SHORT)
BERT = registry.make("transformer_lm_small_bert", max_len=8)
LLAMA = registry.make("transformer_lm_small_llama", **SHORT)
MEAN = registry.make("transformer_lm_small_encoder", max_len=8, head="mean")
UNIT = registry.make("transformer_lm_small_encoder", max_len=8)
STATES = registry.make("transformer_lm_small_open", max_len=8, hidden_states=True)


@partial(ModelBug, "head not tied", TIED, "torch", "structure", "head")
def untied_head(model: Any) -> None:
    model.head = torch.nn.Linear(model.spec.d_model, model.spec.vocab_size)


@partial(ModelBug, "head tied to a copy of the embedding", TIED, "torch", "gradients", "transformer_lm")
def copied_table(model: Any) -> None:
    model.logits = lambda x: model.head(x, model.token_embedding.weight.detach().clone())


@partial(ModelBug, "tied head scaled by the root of the width", TIED, "keras", "forward", "head")
def scaled_head(model: Any) -> None:
    original = model.head.call
    model.head.call = lambda x, table: original(x / constant(math.sqrt(model.spec.d_model), x), table)


@partial(ModelBug, "token types ignored", BERT, "torch", "forward", "transformer_lm")
def ignored_types(model: Any) -> None:
    original = model.embed

    def embed(tokens: torch.Tensor, token_types: torch.Tensor) -> torch.Tensor:
        return original(tokens, torch.zeros_like(token_types))

    model.embed = embed


@partial(ModelBug, "token types swapped", BERT, "keras", "forward", "token_type_embedding")
def swapped_types(model: Any) -> None:
    original = model.token_type_embedding.call
    model.token_type_embedding.call = lambda types: original(1 - types)


@partial(ModelBug, "embedding norm forgotten", BERT, "torch", "forward", "transformer_lm")
def embedding_norm_forgotten(model: Any) -> None:
    def embed(tokens: torch.Tensor, token_types: torch.Tensor) -> torch.Tensor:
        return model.dropout(model.positions(model.token_embedding(tokens) + model.token_type_embedding(token_types)))

    model.embed = embed


@partial(ModelBug, "embedding norm after the dropout", BERT, "keras", "forward_training", "transformer_lm")
def embedding_norm_late(model: Any) -> None:
    def embed(tokens: Any, token_types: Any, training: bool = False) -> Any:
        x = model.positions(model.token_embedding(tokens) + model.token_type_embedding(token_types))
        return model.embedding_norm(model.dropout(x, training=training))

    model.embed = embed


@partial(ModelBug, "pooled from the last position", BERT, "keras", "gradients", "pooler")
def pooled_from_last(model: Any) -> None:
    original = model.pooler.call
    model.pooler.call = lambda x, training=False: original(x[:, ::-1])


@partial(ModelBug, "pooler without its tanh", BERT, "torch", "gradients", "pooler")
def linear_pooler(model: Any) -> None:
    model.pooler.forward = lambda x: F.linear(x[:, 0], model.pooler.weight, model.pooler.bias)


@partial(ModelBug, "hidden states shifted by a block", BERT, "keras", "forward", "transformer_lm")
def shifted_states(model: Any) -> None:
    original = model.call

    def call(*inputs: Any, training: bool = False) -> Any:
        last, pooled, *states = original(*inputs, training=training)
        return (last, pooled, *states[1:], last * 0 + states[0])

    model.call = call


@partial(ModelBug, "last hidden state before the last norm", STATES, "torch", "forward", "transformer_lm")
def unnormalised_state(model: Any) -> None:
    def forward(tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        states = [model.embed(tokens)]
        for block in model.blocks:
            states.append(block(states[-1]))
        return model.norm(states[-1]), *states

    model.forward = forward


@partial(ModelBug, "embedding scaled where it is not", BERT, "keras", "forward_training", "transformer_lm")
def scaled_embedding(model: Any) -> None:
    model.scale = math.sqrt(model.spec.d_model)


@partial(ModelBug, "mean over the padding as well", MEAN, "keras", "forward", "pooler")
def mean_with_padding(model: Any) -> None:
    model.pooler.pad_token_id = None


@partial(ModelBug, "mean divided by the whole length", MEAN, "torch", "forward", "pooler")
def divided_by_length(model: Any) -> None:
    def forward(x: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return (x * (tokens != model.spec.pad_token_id)[..., None]).mean(dim=1)

    model.pooler.forward = forward


@partial(ModelBug, "first sequence's padding for the whole batch", MEAN, "keras", "forward", "mask")
def padding_of_first(model: Any) -> None:
    original = model.mask.call
    model.mask.call = lambda tokens, start=0: original(ops.broadcast_to(tokens[:1], ops.shape(tokens)))


@partial(ModelBug, "mean normalised along the batch", UNIT, "torch", "gradients", "pooler")
def unit_along_batch(model: Any) -> None:
    model.pooler.unit = False
    original = model.pooler.forward
    model.pooler.forward = lambda x, tokens: F.normalize(original(x, tokens), dim=0)


@partial(ModelBug, "SiLU for the sigmoid", UNIT, "keras", "gradients", "blocks.0.feed_forward.activation")
def silu_for_sigmoid(model: Any) -> None:
    model.blocks[0].feed_forward.activation.call = lambda x: ops.silu(x)


@partial(ModelBug, "gate and value swapped", LLAMA, "torch", "forward", "blocks.0.feed_forward")
def swapped_gate(model: Any) -> None:
    layer = model.blocks[0].feed_forward
    layer.forward = lambda x: layer.contract(layer.dropout(layer.gate(x) * layer.activation(layer.expand(x))))


@partial(ModelBug, "gate without an activation", LLAMA, "keras", "forward", "blocks.0.feed_forward")
def linear_gate(model: Any) -> None:
    layer = model.blocks[0].feed_forward

    def call(x: Any, training: bool = False) -> Any:
        return layer.contract(layer.dropout(layer.gate(x) * layer.expand(x), training=training))

    layer.call = call


@partial(ModelBug, "RMS norm that subtracts the mean", LLAMA, "torch", "forward", "blocks.0.norm1")
def centred_norm(model: Any) -> None:
    original = model.blocks[0].norm1.forward
    model.blocks[0].norm1.forward = lambda x: original(x - x.mean(dim=-1, keepdim=True))


@partial(ModelBug, "RMS norm's epsilon left at the PyTorch default", LLAMA, "torch", "gradients", "blocks.0.norm2")
def default_rms_epsilon(model: Any) -> None:
    model.blocks[0].norm2.eps = None


@partial(ModelBug, "RMS norm's epsilon left at the Keras default", LLAMA, "keras", "forward", "norm")
def default_rms_epsilon_of_keras(model: Any) -> None:
    model.norm.epsilon = 1e-6


@partial(ModelBug, "rotary base of a later model", LLAMA, "torch", "forward", "blocks.0.attention.rotary")
def other_base(model: Any) -> None:
    rotary, size = model.blocks[0].attention.rotary, model.spec.attention().size
    other = type(rotary)(model.spec.max_len, size, 500000.0, "halves")
    rotary.sine, rotary.cosine = other.sine, other.cosine


@partial(ModelBug, "biases in a model without", LLAMA, "torch", "structure", "blocks.0.attention.query")
def unwanted_bias(model: Any) -> None:
    width = model.spec.d_model
    model.blocks[0].attention.query = torch.nn.Linear(width, width, dtype=torch.float64)


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
