"""What every softmax attention shares: the map, its dropout, and the fused kernel where nobody looks at the map."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
from keras import layers, ops

from ..core.masks import mask_of_another_form
from ..core.transformer_parts import MASKED_SCORE
from .exact import constant
from .refusal import refused
from .techniques.dropout import Dropout


class AttentionMap(layers.Layer):
    """Softmax over the keys. A boolean mask's True means "attend"; a mask of numbers is added to the scores.

    A row in which every key is masked, by False or by minus infinity, is zero. While `explicit` is set, nothing is
    fused, so that there is a map to look at.
    """

    explicit = False

    # By TensorFlow's softmax: Keras's warns of a softmax over one key, which is what the first token of a text has.
    def call(self, scores: Any, attention_mask: Any = None) -> Any:
        if attention_mask is None:
            return tf.nn.softmax(scores, axis=-1)
        if attention_mask.dtype.is_floating:
            kept = attention_mask > -math.inf
            scores = scores + ops.where(kept, attention_mask, constant(0.0, scores))
        else:
            kept = attention_mask
        lowest = max(MASKED_SCORE, float(scores.dtype.min))  # half precision does not reach as far
        weights = tf.nn.softmax(ops.where(kept, scores, constant(lowest, scores)), axis=-1)
        return ops.where(kept, weights, constant(0.0, weights))


def attend(
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    attention_map: AttentionMap,
    map_dropout: Dropout,
    need_weights: bool = False,
    training: bool = False,
) -> tuple[Any, Any]:
    """Values weighed by the map, (..., queries, channels), and the map before dropout if it is needed.

    The fused form makes no map, has no dropout, and takes several heads: where these do not fit, and in float64, where
    it is decided and TensorFlow's is not exact, the explicit form is computed.
    """
    dropped = training and map_dropout.rate > 0
    if query.dtype != "float64" and len(query.shape) == 4 and not (need_weights or attention_map.explicit or dropped):
        return fused(query, key, value, attention_mask), None
    scale = constant(math.sqrt(query.shape[-1]), query)
    scores = query @ ops.swapaxes(key, -2, -1) / scale  # (..., queries, keys)
    weights = attention_map(scores, attention_mask)
    return map_dropout(weights, training=training) @ value, weights


def fused(query: Any, key: Any, value: Any, attention_mask: Any = None) -> Any:
    """`ops.dot_product_attention` with the heads on axis 1; a row that is masked everywhere, its mean, becomes zero."""
    bias, kept = None, attention_mask
    if attention_mask is not None and attention_mask.dtype.is_floating:
        kept = attention_mask > -math.inf
        bias = ops.where(kept, attention_mask, constant(0.0, attention_mask))
    query, key, value = (ops.swapaxes(x, 1, 2) for x in (query, key, value))  # (batch, time, heads, channels)
    scale = 1 / math.sqrt(query.shape[-1])
    attended = ops.swapaxes(ops.dot_product_attention(query, key, value, bias, kept, scale), 1, 2)
    if kept is None:
        return attended
    return ops.where(ops.any(kept, axis=-1, keepdims=True), attended, constant(0.0, attended))


def as_mask(given: Any, query: Any, key: Any, form: str) -> Any:
    """A mask as the map takes it, of a spec's `form`: zeros and ones become boolean, and numbers those of the query.

    Raises InputError for one of another shape or another form.
    """
    if given is None:
        return None
    given = ops.convert_to_tensor(given)
    if given.dtype.is_floating != (form == "additive"):
        raise refused(mask_of_another_form(form, given.dtype.name))
    shape, wanted = tuple(given.shape), (*query.shape[:3], key.shape[2])
    pairs = zip(shape, wanted, strict=False)
    if len(shape) != 4 or any(None not in pair and pair[0] not in (1, pair[1]) for pair in pairs):
        raise refused(
            f"an attention_mask of {shape} does not fit {wanted[1]} heads, {wanted[2]} queries and {wanted[3]} keys "
            f"in a batch of {wanted[0]}; it must be (batch, heads, queries, keys)"
        )
    return ops.cast(given, query.dtype if form == "additive" else "bool")


def as_padding(given: Any, key: Any) -> Any:
    """A mask of keys alone, (batch, keys), as booleans. Raises InputError for one of another shape, or of numbers."""
    given = ops.convert_to_tensor(given)
    if given.dtype.is_floating:
        raise refused(mask_of_another_form("boolean", given.dtype.name))
    shape, wanted = tuple(given.shape), (key.shape[0], key.shape[-2])
    if len(shape) != 2 or any(None not in pair and pair[0] != pair[1] for pair in zip(shape, wanted, strict=True)):
        raise refused(
            f"an attention_mask of {shape} does not fit {wanted[1]} keys in a batch of {wanted[0]}; "
            "it must be (batch, keys)"
        )
    return ops.cast(given, "bool")


def split_heads(x: Any, num_heads: int) -> Any:
    batch, time, channels = ops.shape(x)
    x = ops.reshape(x, (batch, time, num_heads, channels // num_heads))
    return ops.swapaxes(x, 1, 2)  # (batch, heads, time, channels)


def join_heads(x: Any) -> Any:
    batch, heads, time, channels = ops.shape(x)
    return ops.reshape(ops.swapaxes(x, 1, 2), (batch, time, heads * channels))  # (batch, time, channels)
