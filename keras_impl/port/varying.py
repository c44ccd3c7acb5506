"""The same step with another value of a setting, or as another function."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from keras import activations, ops
from keras import layers as kl

from ...core.port.layer import Step
from . import attending, bordering, resizing, standing
from .replaying import Call

Settings = Mapping[str, Any]
# What makes the call with the new settings of the old one; None where it cannot.
Change = Callable[[Call, Settings, Any], Call | None]


def varied(step: Step, setting: str, value: Any) -> Step | None:
    """The step with this setting; None where it cannot be changed."""
    if setting == "role":
        return standing.varied(step, value)
    change = CHANGES.get((step.role, setting))
    told = {**step.settings, setting: value}
    if change is None or (setting not in step.settings and setting != "padding_mode"):
        return None
    changed = change(step.handle, told, value)
    return None if changed is None else dataclasses.replace(step, settings=told, handle=changed)


def _held(*attributes: str) -> Change:
    """An attribute of the layer, or an argument of the function, under the first of these names that there is."""

    def change(call: Call, told: Settings, value: Any) -> Call | None:
        if isinstance(value, str):
            return None
        if call.layer is not None:
            name = next((name for name in attributes if name in vars(call.layer)), None)
            return None if name is None else call.hold((call.layer, name, value))
        return argued(call, attributes, value)

    return change


def argued(call: Call, names: tuple[str, ...], value: Any) -> Call | None:
    """The call of a function with another value of the first of these arguments that it has."""
    signature = inspect.signature(call.target)
    name = next((name for name in names if name in signature.parameters), None)
    if name is None or call.layer is not None:
        return None
    given = signature.bind(*call.given[0], **call.given[1])
    given.arguments[name] = value
    ordered = {key: given.arguments[key] for key in signature.parameters if key in given.arguments}
    given.arguments.clear()
    given.arguments.update(ordered)
    return call.replace(given=(given.args, dict(given.kwargs)))


def _window(call: Call, told: Settings, _: Any) -> Call | None:
    """A convolution whose border is added by hand."""
    form, mode = standing.form_of(call), told.get("padding_mode", "zeros")
    if mode not in ("zeros", *bordering.MODES) or any(min(pair) < 0 for pair in told["padding"]):
        return None

    def before(inputs: list[Any]) -> list[Any]:
        return [bordering.bordered(inputs[0], told["padding"], form, mode), *inputs[1:]]

    if call.layer is not None:
        layer = call.layer
        held = ((layer, "padding", "valid"), (layer, "strides", tuple(told["strides"])),
                (layer, "dilation_rate", tuple(told["dilation"])))  # fmt: skip
        return call.hold(*held).replace(before=before)
    changed: Call | None = call
    for names, value in ((("padding",), "valid" if "VALID" not in str(call.given) else "VALID"),
                         (("strides",), _sized(call, told["strides"])),
                         (("dilation_rate", "dilations"), _sized(call, told["dilation"]))):  # fmt: skip
        changed = argued(changed, names, value) if changed is not None else None
    return None if changed is None else changed.replace(before=before)


def _sized(call: Call, value: tuple[int, ...]) -> Any:
    """Sizes as the function takes them: TensorFlow's own depthwise convolution has those of batch and channels too."""
    return (1, *value, 1) if getattr(call.target, "__name__", "") == "depthwise_conv2d" else tuple(value)


def _pool(role: str) -> Change:
    def change(call: Call, told: Settings, _: Any) -> Call | None:
        return standing.alone(call, lambda x: bordering.pooled(role, x, dict(told), standing.form_of(call)))

    return change


def _transposed(call: Call, told: Settings, _: Any) -> Call | None:
    layer = call.layer
    if layer is None or told.get("groups", 1) != 1:
        return None
    form = standing.form_of(call)
    return standing.alone(call, lambda x: bordering.transposed(x, layer.kernel, layer.bias, dict(told), form))


def _resized(call: Call, told: Settings, _: Any) -> Call | None:
    return standing.alone(call, lambda x: resizing.resized(x, dict(told), standing.form_of(call)))


def _zero_pad(call: Call, told: Settings, value: Any) -> Call | None:
    return standing.alone(call, lambda x: bordering.bordered(x, value, standing.form_of(call)))


def _pad(call: Call, told: Settings, _: Any) -> Call | None:
    form, mode = standing.form_of(call), told["mode"]
    if isinstance(mode, str):
        known = mode in bordering.MODES and all(min(pair) >= 0 for pair in told["padding"])
        return standing.alone(call, lambda x: bordering.bordered(x, told["padding"], form, mode)) if known else None
    return standing.alone(call, lambda x: bordering.bordered(x, told["padding"], form, value=mode))


def _frozen(call: Call, told: Settings, value: Any) -> Call | None:
    return call.hold((call.layer, "_trainable", not value)) if call.layer is not None else None


def _unbiased(call: Call, told: Settings, value: Any) -> Call | None:
    """Running statistics with Bessel's correction, which Keras's layer does not make."""
    layer = call.layer
    if layer is None or not value:
        return None
    start: list[Any] = []

    def before(inputs: list[Any]) -> list[Any]:
        channels = int(layer.moving_variance.shape[0])
        start[:] = [tf.identity(layer.moving_variance.value), int(np.prod(inputs[0].shape)) // channels]
        return inputs

    def after(result: Any) -> Any:
        old, count = start
        new = tf.convert_to_tensor(layer.moving_variance.value)
        share = (new - old * layer.momentum) / max(count - 1, 1)
        layer.moving_variance.assign(tf.where(new == old, new, new + share))
        return result

    return call.replace(before=before, after=after)


def _axes(call: Call, told: Settings, value: Any) -> Call | None:
    """A normalisation over another number of last axes, with the scale and shift where they were."""
    layer = call.layer
    if layer is None or not isinstance(value, int) or any(
        one is not None and len(one.shape) != 1 for one in (layer.gamma, layer.beta)
    ):  # fmt: skip
        return None

    def target(x: Any, **_: Any) -> Any:
        y = ops.layer_normalization(x, axis=list(range(len(x.shape) - value, len(x.shape))), epsilon=layer.epsilon)
        y = y if layer.gamma is None else y * layer.gamma
        return y if layer.beta is None else y + layer.beta

    return standing.alone(call, target)


def _word(attribute: str) -> Change:
    """An activation within a recurrent layer, by its name."""

    def change(call: Call, told: Settings, value: Any) -> Call | None:
        cell = getattr(call.layer, "cell", call.layer)
        name = "linear" if value == "identity" else value
        if cell is None or isinstance(cell, kl.StackedRNNCells) or not hasattr(activations, name):
            return None
        return call.hold((cell, attribute, activations.get(name)))

    return change


def _unbiased_variance(call: Call, told: Settings, value: Any) -> Call | None:
    def after(result: Any) -> Any:
        count = int(np.prod(call.inputs[0].shape)) / max(int(np.prod(result.shape)), 1)
        return result * ops.cast(count / (count - 1), result.dtype)

    return call.replace(after=after) if value else None


WINDOWS = ("convolution", "depthwise_convolution")
CHANGES: dict[tuple[str, str], Change] = {
    **{(role, "epsilon"): _held("epsilon", "variance_epsilon")
       for role in ("batch_norm", "layer_norm", "group_norm", "rms_norm", "l2_normalise")},
    ("batch_norm", "momentum"): _held("momentum"), ("batch_norm", "frozen"): _frozen,
    ("batch_norm", "unbiased"): _unbiased, ("group_norm", "groups"): _held("groups"), ("layer_norm", "axes"): _axes,
    **{(role, name): _window for role in WINDOWS for name in ("strides", "padding", "dilation", "padding_mode")},
    **{("transposed_convolution", name): _transposed for name in ("strides", "padding", "dilation")},
    **{(role, name): _pool(role) for role in ("max_pool", "average_pool")
       for name in ("window", "strides", "padding", "counts_padding")},
    **{("upsample", name): _resized for name in ("factor", "method", "aligned")},
    ("zero_pad", "padding"): _zero_pad, **{("pad", name): _pad for name in ("padding", "mode")},
    ("gelu", "approximate"): _held("approximate"), ("leaky_relu", "slope"): _held("negative_slope", "alpha"),
    ("elu", "alpha"): _held("alpha"), ("softmax", "axis"): _held("axis"), ("log_softmax", "axis"): _held("axis"),
    **{("attention", name): attending.change(name) for name in ("heads", "scale", "causal", "masked")},
    **{("scaled_dot_product_attention", name): attending.plain(name) for name in ("scale", "causal", "masked")},
    **{(role, "activation"): _word("activation") for role in ("lstm", "gru", "rnn")},
    **{(role, "recurrent_activation"): _word("recurrent_activation") for role in ("lstm", "gru")},
    **{(role, "reversed"): _held("go_backwards") for role in ("lstm", "gru", "rnn")},
    ("variance", "unbiased"): _unbiased_variance,
}  # fmt: skip
