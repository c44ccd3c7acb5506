"""Mistakes in porting a Transformer."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diglot.core import registry
from diglot.core.transformer_parts import MASKED_SCORE
from diglot.keras_impl.exact import constant
from keras import ops

from . import ModelBug
from .multi_head_attention import (
    keras_attention,
    keras_scores,
    keras_weigh,
    torch_attention,
    torch_scores,
    torch_weigh,
)

SHORT = {"max_len": 8, "num_layers": 1}
POST = registry.make("transformer_lm_small", **SHORT)
PRE = registry.make("transformer_lm_small_pre", **SHORT)
ENCODER = registry.make("transformer_lm_small_encoder", max_len=8, feed_forward="mlp", head="logits")
DEEP = registry.make("transformer_lm_small", max_len=8)


@partial(ModelBug, "layer norm epsilon 0.1% too large", DEEP, "torch", "forward", "blocks.1.norm2")
def larger_epsilon(model: Any) -> None:
    model.blocks[1].norm2.eps *= 1.001


@partial(ModelBug, "epsilon of a norm before attention 0.1% too large", PRE, "keras", "gradients", "blocks.0.norm1")
def larger_epsilon_before_attention(model: Any) -> None:
    model.blocks[0].norm1.epsilon *= 1.001


@partial(ModelBug, "layer norm epsilon left at the Keras default", POST, "keras", "forward", "blocks.0.norm1")
def default_epsilon(model: Any) -> None:
    model.blocks[0].norm1.epsilon = 1e-3


@partial(ModelBug, "epsilon added to the standard deviation", POST, "torch", "forward_training", "blocks.0.norm1")
def epsilon_outside_the_root(model: Any) -> None:
    norm = model.blocks[0].norm1

    def forward(x: torch.Tensor) -> torch.Tensor:
        deviation = torch.std(x, dim=-1, keepdim=True, correction=0)
        return (x - x.mean(dim=-1, keepdim=True)) / (deviation + norm.eps) * norm.weight + norm.bias

    norm.forward = forward


@partial(ModelBug, "layer norm by the unbiased variance", POST, "torch", "forward_training", "blocks.0.norm2")
def unbiased_variance(model: Any) -> None:
    norm = model.blocks[0].norm2

    def forward(x: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + norm.eps) * norm.weight + norm.bias

    norm.forward = forward


@partial(ModelBug, "root mean square norm for layer norm", PRE, "keras", "forward_training", "norm")
def root_mean_square(model: Any) -> None:
    norm = model.norm

    def call(x: Any) -> Any:
        return x / ops.sqrt(ops.mean(x * x, axis=-1, keepdims=True) + norm.epsilon) * norm.gamma + norm.beta

    norm.call = call


@partial(ModelBug, "last norm forgotten", PRE, "keras", "forward", "transformer_lm")
def last_norm_forgotten(model: Any) -> None:
    def call(tokens: Any, training: bool = False) -> Any:
        x = model.dropout(model.positions(model.token_embedding(tokens)), training=training)
        for block in model.blocks:
            x = block(x, model.mask(tokens), training=training)
        return model.logits(x)

    model.call = call


@partial(ModelBug, "norm before each sublayer for the norm after it", POST, "keras", "forward_training", "blocks.0")
def pre_for_post(model: Any) -> None:
    model.blocks[0].pre_norm = True


@partial(ModelBug, "norm after each sublayer for the norm before it", PRE, "torch", "forward", "blocks.0")
def post_for_pre(model: Any) -> None:
    model.blocks[0].pre_norm = False


@partial(ModelBug, "residual around the normalised input", PRE, "torch", "forward_training", "blocks.0")
def normalised_residual(model: Any) -> None:
    block = model.blocks[0]

    def forward(x: torch.Tensor, mask: Any = None, cache: Any = None) -> torch.Tensor:
        x = block.norm1(x)
        x = x + block.dropout1(block.attend(x, mask))
        x = block.norm2(x)
        return x + block.dropout2(block.feed_forward(x))

    block.forward = forward


@partial(ModelBug, "residual around the attention missing", POST, "keras", "forward_training", "blocks.0")
def missing_residual(model: Any) -> None:
    block = model.blocks[0]

    def call(x: Any, mask: Any = None, cache: Any = None, training: bool = False) -> Any:
        x = block.norm1(block.dropout1(block.attend(x, mask, training=training), training=training))
        return block.norm2(x + block.dropout2(block.feed_forward(x, training=training), training=training))

    block.call = call


@partial(ModelBug, "attention and feed-forward in parallel", PRE, "keras", "gradients", "blocks.0")
def parallel_sublayers(model: Any) -> None:
    block = model.blocks[0]

    def call(x: Any, mask: Any = None, cache: Any = None, training: bool = False) -> Any:
        attended = block.attend(block.norm1(x), mask, training=training)
        fed = block.feed_forward(block.norm2(x), training=training)
        return x + block.dropout1(attended, training=training) + block.dropout2(fed, training=training)

    block.call = call


@partial(ModelBug, "tanh GELU for the exact one", PRE, "torch", "forward_training", "blocks.0.feed_forward.activation")
def tanh_gelu(model: Any) -> None:
    model.blocks[0].feed_forward.activation.approximate = "tanh"


@partial(ModelBug, "exact GELU for the one by tanh", ENCODER, "keras", "forward", "blocks.0.feed_forward.activation")
def exact_gelu(model: Any) -> None:
    model.blocks[0].feed_forward.activation.approximate = False


@partial(ModelBug, "GELU for the ReLU", POST, "keras", "forward_training", "blocks.0.feed_forward.activation")
def gelu_for_relu(model: Any) -> None:
    model.blocks[0].feed_forward.activation.call = lambda x: ops.gelu(x)


@partial(ModelBug, "causal mask that shows the next token", POST, "torch", "forward", "mask")
def mask_shows_next(model: Any) -> None:
    original = model.mask.forward
    model.mask.forward = lambda tokens, start=0: torch.ones_like(original(tokens)).tril(diagonal=1)


@partial(ModelBug, "causal mask that hides the token itself", POST, "keras", "forward_training", "mask")
def mask_hides_itself(model: Any) -> None:
    original = model.mask.call
    model.mask.call = lambda tokens, start=0: ops.tril(original(tokens), k=-1)


@partial(ModelBug, "causal mask missing", POST, "keras", "gradients", "mask")
def mask_missing(model: Any) -> None:
    original = model.mask.call
    model.mask.call = lambda tokens, start=0: ops.ones_like(original(tokens))


@partial(ModelBug, "causal mask that sees the future", POST, "torch", "forward_training", "mask")
def mask_upper(model: Any) -> None:
    original = model.mask.forward
    model.mask.forward = lambda tokens, start=0: original(tokens).transpose(-2, -1)


@partial(ModelBug, "padding attended to under the causal mask", PRE, "torch", "forward", "mask")
def causal_padding_leak(model: Any) -> None:
    model.mask.pad_token_id = None


@partial(ModelBug, "padding attended to by an encoder", ENCODER, "keras", "forward", "mask")
def encoder_padding_leak(model: Any) -> None:
    model.mask.pad_token_id = None


@partial(ModelBug, "padding of the queries masked instead of the keys", ENCODER, "torch", "forward_training", "mask")
def queries_masked(model: Any) -> None:
    original = model.mask.forward
    model.mask.forward = lambda tokens, start=0: original(tokens).transpose(-2, -1)


@partial(ModelBug, "another token taken for padding", ENCODER, "torch", "gradients", "mask")
def other_padding(model: Any) -> None:
    model.mask.pad_token_id = 0


@partial(ModelBug, "mask taken to say what to leave out", POST, "keras", "forward", "blocks.0.attention")
def inverted_mask(model: Any) -> None:
    original = model.blocks[0].attention.call

    def call(query: Any, key: Any, value: Any, mask: Any, cache: Any = None, training: bool = False) -> Any:
        return original(query, key, value, ops.logical_not(mask), training=training)

    model.blocks[0].attention.call = call


@partial(ModelBug, "mask not passed on to the attention", PRE, "torch", "forward_training", "blocks.0.attention")
def mask_dropped(model: Any) -> None:
    original = model.blocks[0].attention.forward
    model.blocks[0].attention.forward = lambda query, key, value, mask, cache=None: original(query, key, value)


@partial(ModelBug, "masked scores set to zero instead of far below", POST, "torch", "gradients", "blocks.0.attention")
def multiplied_mask(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        scores = torch_scores(query, key) * mask
        return attention.dropout(torch.softmax(scores, dim=-1))

    torch_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "mask after the softmax", POST, "keras", "gradients", "blocks.0.attention")
def late_mask(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any, training: bool) -> Any:
        scores = keras_scores(query, key)
        weights = ops.softmax(scores, axis=-1) * ops.cast(mask, scores.dtype)
        return attention.dropout(weights, training=training)

    keras_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "scores divided by the root of the model's width", POST, "torch", "forward", "blocks.0.attention")
def scaled_by_width(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        width = query.shape[-1] * attention.num_heads
        scores = (query @ key.transpose(-2, -1) / math.sqrt(width)).masked_fill(~mask, MASKED_SCORE)
        return attention.dropout(torch.softmax(scores, dim=-1))

    torch_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "scores not scaled", POST, "keras", "forward_training", "blocks.0.attention")
def unscaled_scores(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any, training: bool) -> Any:
        scores = ops.where(mask, query @ ops.swapaxes(key, -2, -1), constant(MASKED_SCORE, query))
        return attention.dropout(ops.softmax(scores, axis=-1), training=training)

    keras_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "scores divided by the head size, not its root", ENCODER, "torch", "gradients", "blocks.0.attention")
def scaled_without_root(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        scores = (query @ key.transpose(-2, -1) / query.shape[-1]).masked_fill(~mask, MASKED_SCORE)
        return torch.softmax(scores, dim=-1)

    torch_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "query and key swapped", POST, "torch", "forward", "blocks.0.attention")
def swapped_query_and_key(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        scores = torch_scores(key, query)
        return attention.dropout(torch.softmax(scores.masked_fill(~mask, MASKED_SCORE), dim=-1))

    torch_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "softmax over the queries", ENCODER, "keras", "forward_training", "blocks.0.attention")
def softmax_over_queries(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any, training: bool) -> Any:
        scores = keras_scores(query, key)
        weights = ops.softmax(ops.where(mask, scores, constant(MASKED_SCORE, scores)), axis=-2)
        return ops.where(mask, weights, constant(0.0, weights))

    keras_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "attention dropout before the softmax", POST, "torch", "forward_training", "blocks.0.attention")
def dropout_before_softmax(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        scores = attention.dropout(torch_scores(query, key))
        return torch.softmax(scores.masked_fill(~mask, MASKED_SCORE), dim=-1)

    torch_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "attention weights without dropout", POST, "keras", "gradients", "blocks.0.attention")
def attention_without_dropout(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any, training: bool) -> Any:
        scores = keras_scores(query, key)
        return ops.softmax(ops.where(mask, scores, constant(MASKED_SCORE, scores)), axis=-1)

    keras_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "heads split as the fastest axis", POST, "keras", "forward", "blocks.0.attention")
def interleaved_heads(model: Any) -> None:
    def split_heads(x: Any, num_heads: int) -> Any:
        batch, time, channels = ops.shape(x)
        x = ops.reshape(x, (batch, time, channels // num_heads, num_heads))
        return ops.transpose(x, (0, 3, 1, 2))

    keras_attention(model.blocks[0].attention, keras_weigh, split=split_heads)


@partial(ModelBug, "heads split without moving their axis", POST, "torch", "gradients", "blocks.0.attention")
def reshaped_heads(model: Any) -> None:
    def split_heads(x: torch.Tensor, num_heads: int) -> torch.Tensor:
        batch, time, _ = x.shape
        return x.reshape(batch, num_heads, time, -1)

    torch_attention(model.blocks[0].attention, torch_weigh, split=split_heads)


@partial(
    ModelBug, "heads joined without moving their axis back", POST, "torch", "forward_training", "blocks.0.attention"
)
def unmoved_heads(model: Any) -> None:
    def join_heads(x: torch.Tensor) -> torch.Tensor:
        batch, _, time, _ = x.shape
        return x.reshape(batch, time, -1)

    torch_attention(model.blocks[0].attention, torch_weigh, join=join_heads)


@partial(ModelBug, "one head for several", ENCODER, "keras", "forward_training", "blocks.0.attention")
def one_head(model: Any) -> None:
    model.blocks[0].attention.num_heads = 1


@partial(ModelBug, "gradient stopped at the input of the values", PRE, "torch", "gradients", "blocks.0.attention.value")
def detached_value(model: Any) -> None:
    value = model.blocks[0].attention.value
    value.forward = lambda x: F.linear(x.detach(), value.weight, value.bias)


@partial(ModelBug, "gradient stopped at the attention weights", POST, "keras", "gradients", "blocks.0.attention")
def constant_weights(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any, training: bool) -> Any:
        scores = keras_scores(query, key)
        weights = ops.softmax(ops.where(mask, scores, constant(MASKED_SCORE, scores)), axis=-1)
        return attention.dropout(ops.stop_gradient(weights), training=training)

    keras_attention(model.blocks[0].attention, weigh)


@partial(ModelBug, "transposed query kernel", POST, "torch", "forward_training", "blocks.0.attention.query")
def transposed_query(model: Any) -> None:
    query = model.blocks[0].attention.query
    query.forward = lambda x: F.linear(x, query.weight.T, query.bias)


@partial(ModelBug, "bias of the projection left out", PRE, "keras", "forward_training", "blocks.0.attention.projection")
def projection_without_bias(model: Any) -> None:
    projection = model.blocks[0].attention.projection
    projection.call = lambda x, training=None: x @ projection.kernel


@partial(ModelBug, "embedding not scaled", POST, "torch", "forward", "transformer_lm")
def unscaled_embedding(model: Any) -> None:
    model.scale = 1.0


@partial(ModelBug, "positions scaled with the embedding", POST, "keras", "forward_training", "transformer_lm")
def scaled_positions(model: Any) -> None:
    def call(tokens: Any, training: bool = False) -> Any:
        x = model.positions(model.token_embedding(tokens))
        x = model.dropout(x * constant(model.scale, x), training=training)
        for block in model.blocks:
            x = block(x, model.mask(tokens), training=training)
        return model.logits(x)

    model.call = call


@partial(ModelBug, "positions counted from one", POST, "keras", "forward", "positions")
def positions_from_one(model: Any) -> None:
    longer = type(model.positions)(model.spec.max_len + 1, model.spec.d_model)
    model.positions.waves = longer.waves[1:]


@partial(ModelBug, "sines and cosines in halves", POST, "torch", "forward_training", "positions")
def waves_in_halves(model: Any) -> None:
    waves = model.positions.waves
    model.positions.waves = torch.cat([waves[:, 0::2], waves[:, 1::2]], dim=-1)


@partial(ModelBug, "wavelengths spread over half the channels", POST, "torch", "forward_training", "positions")
def other_wavelengths(model: Any) -> None:
    length, width = model.positions.waves.shape
    angles = torch.arange(length)[:, None] / 10000.0 ** (torch.arange(width, dtype=torch.float64) / width)
    even = torch.arange(width) % 2 == 0
    model.positions.waves = torch.where(even, torch.sin(angles), torch.cos(angles))


@partial(ModelBug, "learned position of the first token left out", PRE, "keras", "forward_training", "positions")
def first_position_left_out(model: Any) -> None:
    positions = model.positions

    def call(x: Any, start: int = 0) -> Any:
        kept = ops.cast(ops.arange(x.shape[1]) > 0, x.dtype)
        return x + positions.vectors[: x.shape[1]] * kept[:, None]

    positions.call = call


@partial(ModelBug, "positions along the batch", PRE, "torch", "forward_training", "positions")
def positions_along_batch(model: Any) -> None:
    positions = model.positions
    positions.forward = lambda x, start=0: x + positions.vectors[: x.shape[0], None]


@partial(ModelBug, "embedding of the padding token kept at zero", PRE, "torch", "forward_training", "token_embedding")
def zero_padding_row(model: Any) -> None:
    embedding = model.token_embedding
    original = embedding.forward
    embedding.forward = lambda tokens: original(tokens) * (tokens != 0)[..., None]


@partial(ModelBug, "dropout of a sublayer without its scale", POST, "torch", "forward_training", "blocks.0.dropout1")
def unscaled_dropout(model: Any) -> None:
    dropout = model.blocks[0].dropout1
    original = dropout.forward
    dropout.forward = lambda x: original(x) * (1 - dropout.p) if dropout.training else x


@partial(ModelBug, "dropout on the residual sum", POST, "keras", "forward_training", "blocks.0")
def dropout_on_sum(model: Any) -> None:
    block = model.blocks[0]

    def call(x: Any, mask: Any = None, cache: Any = None, training: bool = False) -> Any:
        x = block.norm1(block.dropout1(x + block.attend(x, mask, training=training), training=training))
        return block.norm2(block.dropout2(x + block.feed_forward(x, training=training), training=training))

    block.call = call


# With a ReLU the two orders would be the same.
@partial(ModelBug, "dropout before the activation", PRE, "keras", "forward_training", "blocks.0.feed_forward")
def dropout_before_activation(model: Any) -> None:
    layer = model.blocks[0].feed_forward

    def call(x: Any, training: bool = False) -> Any:
        return layer.contract(layer.activation(layer.dropout(layer.expand(x), training=training)))

    layer.call = call


@partial(ModelBug, "training mode not passed on", PRE, "keras", "gradients", "blocks.0.feed_forward")
def training_not_passed(model: Any) -> None:
    layer = model.blocks[0].feed_forward

    def call(x: Any, training: bool = False) -> Any:
        return layer.contract(layer.dropout(layer.activation(layer.expand(x)), training=False))

    layer.call = call


@partial(ModelBug, "dropout before the positions are added", POST, "torch", "forward_training", "transformer_lm")
def dropout_before_positions(model: Any) -> None:
    def forward(tokens: torch.Tensor) -> torch.Tensor:
        x = model.positions(model.dropout(model.token_embedding(tokens) * model.scale))
        for block in model.blocks:
            x = block(x, model.mask(tokens))
        return model.logits(x)

    model.forward = forward


@partial(ModelBug, "first block run twice for two blocks", DEEP, "keras", "forward_training", "transformer_lm")
def shared_block(model: Any) -> None:
    def call(tokens: Any, training: bool = False) -> Any:
        x = model.token_embedding(tokens)
        x = model.dropout(model.positions(x * constant(model.scale, x)), training=training)
        for _ in model.blocks:
            x = model.blocks[0](x, model.mask(tokens), training=training)
        return model.logits(x)

    model.call = call


@partial(ModelBug, "positions missing from the parameters", PRE, "torch", "structure", "positions")
def positions_not_a_parameter(model: Any) -> None:
    vectors = model.positions.vectors.detach()
    del model.positions.vectors
    model.positions.vectors = vectors


@partial(ModelBug, "learned positions taken from the end", PRE, "keras", "forward", "positions")
def positions_from_the_end(model: Any) -> None:
    model.positions.call = lambda x, start=0: x + model.positions.vectors[-ops.shape(x)[1] :]


@partial(ModelBug, "padding taken to be on the right", PRE, "torch", "gradients", "mask")
def padding_by_length(model: Any) -> None:
    def forward(tokens: torch.Tensor, start: int = 0) -> torch.Tensor:
        time = tokens.shape[1]
        lengths = (tokens != model.spec.pad_token_id).sum(dim=1)
        kept = torch.arange(time) < lengths[:, None]
        return torch.ones(time, time, dtype=torch.bool).tril() & kept[:, None, None, :]

    model.mask.forward = forward


@partial(ModelBug, "a row that is masked everywhere attends to all", PRE, "torch", "forward", "blocks.0.attention")
def fully_masked_row(model: Any) -> None:
    def weigh(attention: Any, query: Any, key: Any, mask: Any) -> torch.Tensor:
        scores = torch_scores(query, key)
        return attention.dropout(torch.softmax(scores.masked_fill(~mask, MASKED_SCORE), dim=-1))

    torch_attention(model.blocks[0].attention, weigh)


BUGS = tuple(found for found in vars().values() if isinstance(found, ModelBug))
