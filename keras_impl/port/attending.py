"""Attention with another scale, mask or number of heads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from keras import layers as kl
from keras import ops

from .given import ATTEND
from .replaying import Call

Change = Callable[[Call, Mapping[str, Any], Any], Call | None]
IGNORE = "ignore"


def change(setting: str) -> Change:
    """How a setting of Keras's own attention layers is changed."""
    native = {"heads": _heads, "scale": _scale, "causal": _causal, "masked": _masked}[setting]

    def changed(call: Call, told: Mapping[str, Any], value: Any) -> Call | None:
        if isinstance(call.target, WrittenOut):
            return call.replace(target=WrittenOut(call.target.layer, told))
        return native(call, told, value)

    return changed


def plain(setting: str) -> Change:
    """The same for the function."""
    name = {"scale": "scale", "causal": "is_causal", "masked": "mask"}[setting]

    def changed(call: Call, told: Mapping[str, Any], value: Any) -> Call | None:
        signature = inspect.signature(call.target)
        given = signature.bind(*call.given[0], **call.given[1]).arguments
        mask = given.get("mask")
        if setting == "masked":
            return _inverted(call, len(call.inputs) - 1) if mask is not None and value in (ATTEND, IGNORE) else None
        if setting == "causal" and mask is not None and not value:
            del given["mask"]
            return call.replace(given=((), {**given, name: False}), before=lambda inputs: inputs[:-1])
        return call.replace(given=((), {**given, name: value}))

    return changed


def _inverted(call: Call, place: int) -> Call:
    def before(inputs: list[Any]) -> list[Any]:
        mask = ops.logical_not(ops.cast(inputs[place], "bool"))
        return [*inputs[:place], mask, *inputs[place + 1 :]]

    return call.replace(before=before)


def _masked(call: Call, told: Mapping[str, Any], value: Any) -> Call | None:
    kwargs = call.given[1]
    if kwargs.get("attention_mask") is None:
        return None
    place = sum(1 for name in ("query", "key", "value") if kwargs.get(name) is not None)
    if value in (ATTEND, IGNORE):
        return _inverted(call, place)
    return _unmasked(call, place) if value is None else None


def _unmasked(call: Call, place: int) -> Call:
    args, kwargs = call.given
    kept = {name: item for name, item in kwargs.items() if name != "attention_mask"}
    return call.replace(given=(args, kept), before=lambda inputs: [*inputs[:place], *inputs[place + 1 :]])


def _causal(call: Call, told: Mapping[str, Any], value: Any) -> Call | None:
    args, kwargs = call.given
    changed = call.replace(given=(args, {**kwargs, "use_causal_mask": bool(value)}))
    if not value and not kwargs.get("use_causal_mask") and kwargs.get("attention_mask") is not None:
        return _unmasked(changed, 3)
    return changed


def _scale(call: Call, told: Mapping[str, Any], value: Any) -> Call | None:
    name = "_inverse_sqrt_head_dim" if isinstance(call.layer, kl.GroupQueryAttention) else "_inverse_sqrt_key_dim"
    return call.hold((call.layer, name, float(value)))


def _heads(call: Call, told: Mapping[str, Any], value: Any) -> Call | None:
    """The same projections, split into another number of heads; the scale is that of the settings."""
    layer = call.layer
    if layer is None or isinstance(layer, kl.GroupQueryAttention) or any(mask is not None for mask in call.masks):
        return None
    kernel = layer._query_dense._kernel
    inner = int(kernel.shape[-2] * kernel.shape[-1])
    if inner % int(value) or len(call.inputs[0].shape) != 3:
        return None
    return Call(WrittenOut(layer, told), (tuple(call.inputs), {}), tensors=call.tensors)


class WrittenOut:
    """Attention of three sequences of shape (batch, time, channels), by the weights of a layer and these settings."""

    def __init__(self, layer: Any, told: Mapping[str, Any]) -> None:
        self.layer, self.told = layer, told

    def __call__(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        layer = self.layer
        pairs = ((query, layer._query_dense), (key, layer._key_dense), (value, layer._value_dense))
        q, k, v = (self._split(x, dense) for x, dense in pairs)  # (batch, time, heads, depth)
        scores = tf.einsum("bthd,bshd->bhts", q, k) * tf.constant(self.told["scale"], q.dtype)
        weights = ops.softmax(tf.where(self._seen(scores, mask), scores, tf.constant(-1e30, scores.dtype)))
        joined = tf.einsum("bhts,bshd->bthd", weights, v)
        kernel, bias = layer._output_dense._kernel, layer._output_dense.bias
        y = tf.reshape(joined, (*joined.shape[:2], -1)) @ tf.reshape(kernel, (-1, kernel.shape[-1]))
        return y if bias is None else y + bias

    def _split(self, x: Any, dense: Any) -> Any:
        kernel, bias = dense._kernel, dense.bias
        y = tf.einsum("bti,ic->btc", x, tf.reshape(kernel, (kernel.shape[0], -1)))
        y = y if bias is None else y + tf.reshape(bias, (-1,))
        return tf.reshape(y, (*y.shape[:2], self.told["heads"], -1))

    def _seen(self, scores: Any, mask: Any) -> Any:
        seen = tf.ones(scores.shape[-2:], tf.bool)
        if self.told["causal"]:
            seen = tf.linalg.band_part(seen, -1, 0)
        if mask is None or self.told["masked"] is None:
            return seen
        mask = tf.cast(mask, tf.bool)
        mask = tf.logical_not(mask) if self.told["masked"] == IGNORE else mask
        return tf.logical_and(seen, mask if len(mask.shape) != 3 else mask[:, None])
