"""The role of a call of one of Keras's own layers, and its settings; None for a layer that Diglot does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import activations
from keras import layers as kl
from keras.src.layers.convolutional.base_conv import BaseConv
from keras.src.layers.convolutional.base_conv_transpose import BaseConvTranspose
from keras.src.layers.convolutional.base_depthwise_conv import BaseDepthwiseConv
from keras.src.layers.merging.base_merge import Merge
from keras.src.layers.pooling.base_global_pooling import BaseGlobalPooling
from keras.src.layers.pooling.base_pooling import BasePooling

from ...core.port.layer import CUSTOM
from . import geometry
from .functions import TOLD
from .given import Told, axis_told, masking, number
from .held import known
from .slots import CELLS, is_depthwise
from .spaces import conv_told, pool_told, upsample_told

Shapes = tuple[tuple[int, ...], ...]


class Observed:
    """One call of a layer: the shapes that went in and came out, and its arguments by name."""

    def __init__(self, layer: Any, given: Mapping[str, Any], inputs: Shapes, outputs: Shapes) -> None:
        self.layer, self.given, self.inputs, self.outputs = layer, given, inputs, outputs


def tell(seen: Observed) -> Told | None:
    """What a call was; None where the layer's class is not known, so that what is inside it has to say."""
    found = known(seen.layer, ROLES)
    return None if found is None else found(seen)


def static(layer: Any, role: str) -> dict[str, Any]:
    """The settings of a layer that no input is needed for."""
    if role in ("lstm", "gru", "rnn"):
        return _recurrent_told(layer, role)
    if role == "attention":
        return _attention_told(layer)
    if role in ("batch_norm", "layer_norm", "group_norm", "rms_norm"):
        return _norm_told(layer, role)
    if role in ("convolution", "depthwise_convolution", "transposed_convolution"):
        told = {"strides": layer.strides, "dilation": layer.dilation_rate, "bias": bool(layer.use_bias)}
        return told if role == "depthwise_convolution" else {**told, "groups": getattr(layer, "groups", 1)}
    return {"bias": getattr(layer, "bias", None) is not None} if role == "dense" else {}


def _plain(role: str) -> Callable[[Observed], Told]:
    return lambda seen: (role, {})


def _dense(seen: Observed) -> Told:
    return "dense", {"bias": getattr(seen.layer, "bias", None) is not None}


def _convolution(seen: Observed) -> Told:
    layer = seen.layer
    told = conv_told(seen.inputs[0], layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate,
                     layer.data_format)  # fmt: skip
    if isinstance(layer, BaseDepthwiseConv) or is_depthwise(layer):
        return "depthwise_convolution", {**told, "bias": bool(layer.use_bias)}
    return "convolution", {**told, "groups": layer.groups, "bias": bool(layer.use_bias)}


def _transposed(seen: Observed) -> Told:
    layer = seen.layer
    sizes, given = (geometry.spatial(one, layer.data_format) for one in (seen.inputs[0], seen.outputs[0]))
    cut = geometry.cropping(sizes, given, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
    return "transposed_convolution", {"strides": layer.strides, "padding": cut, "dilation": layer.dilation_rate,
                                      "groups": 1, "bias": bool(layer.use_bias)}  # fmt: skip


def _norm_told(layer: Any, role: str) -> dict[str, Any]:
    epsilon = {"epsilon": float(number(layer.epsilon))}
    if role == "batch_norm":
        return {**epsilon, "momentum": float(number(layer.momentum)), "unbiased": False, "frozen": not layer.trainable}
    if role == "layer_norm":
        return {**epsilon, "axes": len(layer.axis) if isinstance(layer.axis, (list, tuple)) else 1}
    return {**epsilon, "groups": layer.groups} if role == "group_norm" else epsilon


def _norm(role: str) -> Callable[[Observed], Told]:
    return lambda seen: (role, _norm_told(seen.layer, role))


def _layer_norm(seen: Observed) -> Told:
    return (CUSTOM, {}) if seen.layer.rms_scaling else ("layer_norm", _norm_told(seen.layer, "layer_norm"))


def _attention_told(layer: Any) -> dict[str, Any]:
    grouped = isinstance(layer, kl.GroupQueryAttention)
    return {"heads": layer.num_query_heads if grouped else layer.num_heads,
            "scale": number(layer._inverse_sqrt_head_dim if grouped else layer._inverse_sqrt_key_dim),
            "dropout": layer.dropout}  # fmt: skip


def _attention(seen: Observed) -> Told:
    causal, masked = masking(seen.given.get("attention_mask"))
    causal = causal or bool(seen.given.get("use_causal_mask"))
    return "attention", {**_attention_told(seen.layer), "causal": causal, "masked": masked}


def word(activation: Any) -> str:
    """An activation by the name that both frameworks know it by."""
    name = getattr(activation, "__name__", None) or getattr(activation, "name", None) or type(activation).__name__
    return "identity" if name == "linear" else str(name)


def _recurrent_told(layer: Any, role: str) -> dict[str, Any]:
    cell = getattr(layer, "cell", layer)
    cell = cell.cells[0] if isinstance(cell, kl.StackedRNNCells) else cell
    told: dict[str, Any] = {"activation": word(cell.activation)}
    if role != "rnn":
        told["recurrent_activation"] = word(cell.recurrent_activation)
    told |= {"reversed": bool(getattr(layer, "go_backwards", False)), "bias": bool(cell.use_bias)}
    told["stateful"] = bool(getattr(layer, "stateful", False))
    return {**told, "reset_after": bool(cell.reset_after)} if role == "gru" else told


def _recurrent(seen: Observed) -> Told | None:
    role = known(seen.layer.cell, CELLS)
    return None if role is None else (role, _recurrent_told(seen.layer, role))


def _pool(seen: Observed) -> Told:
    layer = seen.layer
    role = "max_pool" if layer.pool_mode == "max" else "average_pool"
    rank = len(seen.inputs[0]) - 2
    window, strides = (geometry.spread(value, rank) for value in (layer.pool_size, layer.strides))
    return role, pool_told(role, seen.inputs[0], window, strides, layer.padding, layer.data_format)


def _global_pool(seen: Observed) -> Told:
    return "global_max_pool" if "Max" in type(seen.layer).__name__ else "global_average_pool", {}


def _dropout(seen: Observed) -> Told:
    drawn = [axis for axis in _noise_shape(seen) if axis == 1]
    return "dropout", {"rate": float(number(seen.layer.rate)), "broadcast": len(drawn)}


def _noise(seen: Observed) -> Told:
    return "noise", {"rate": float(number(getattr(seen.layer, "stddev", None) or getattr(seen.layer, "rate", 0.0)))}


def _noise_shape(seen: Observed) -> tuple[int, ...]:
    if isinstance(seen.layer, (kl.SpatialDropout1D, kl.SpatialDropout2D, kl.SpatialDropout3D)):
        return (1,) * (len(seen.inputs[0]) - 2)
    return tuple(size for size in getattr(seen.layer, "noise_shape", None) or () if isinstance(size, int))


def _softmax(seen: Observed) -> Told:
    axis = seen.layer.axis
    axis = axis if isinstance(axis, int) else axis[0] if len(axis) == 1 else None
    if axis is None or len(seen.inputs) > 1:
        return CUSTOM, {}
    return "softmax", {"axis": axis_told(axis, len(seen.inputs[0]))}


def _relu(seen: Observed) -> Told:
    layer = seen.layer
    given = {"negative_slope": layer.negative_slope, "max_value": layer.max_value, "threshold": layer.threshold}
    return TOLD["keras_relu"](given, None)


def _upsample(seen: Observed) -> Told:
    layer = seen.layer
    method, form = getattr(layer, "interpolation", "nearest"), getattr(layer, "data_format", None)
    return "upsample", upsample_told(seen.inputs[0], seen.outputs[0], method, form)


def _zero_pad(seen: Observed) -> Told:
    given = seen.layer.padding
    pairs = (given,) if isinstance(seen.layer, kl.ZeroPadding1D) else given
    return "zero_pad", {"padding": tuple((int(before), int(after)) for before, after in pairs)}


def _merge(seen: Observed) -> Told:
    roles = {kl.Add: "add", kl.Subtract: "subtract", kl.Multiply: "multiply", kl.Concatenate: "concatenate",
             kl.Maximum: "maximum", kl.Minimum: "minimum"}  # fmt: skip
    return next((role for kind, role in roles.items() if type(seen.layer) is kind), CUSTOM), {}


def _unit(seen: Observed) -> Told:
    return "l2_normalise", {"epsilon": 1e-12}


def _reversible(seen: Observed) -> Told:
    """Forwards a table of rows; in reverse a dense layer by the same numbers."""
    if not seen.given.get("reverse"):
        return "embedding", {}
    return ("dense", {"bias": False}) if seen.layer.logit_soft_cap is None else (CUSTOM, {})


ROLES: dict[type, Callable[[Observed], Told | None]] = {
    kl.Dense: _dense, kl.EinsumDense: _dense, BaseConv: _convolution, BaseDepthwiseConv: _convolution,
    BaseConvTranspose: _transposed, kl.Embedding: _plain("embedding"), kl.ReversibleEmbedding: _reversible,
    kl.BatchNormalization: _norm("batch_norm"), kl.LayerNormalization: _layer_norm,
    kl.GroupNormalization: _norm("group_norm"), kl.RMSNormalization: _norm("rms_norm"), kl.UnitNormalization: _unit,
    kl.MultiHeadAttention: _attention, kl.GroupQueryAttention: _attention,
    kl.RNN: _recurrent, kl.LSTM: _recurrent, kl.GRU: _recurrent, kl.SimpleRNN: _recurrent,
    BasePooling: _pool, BaseGlobalPooling: _global_pool,
    kl.GlobalAveragePooling1D: _global_pool, kl.GlobalAveragePooling2D: _global_pool,
    kl.GlobalAveragePooling3D: _global_pool, kl.GlobalMaxPooling1D: _global_pool, kl.GlobalMaxPooling2D: _global_pool,
    kl.GlobalMaxPooling3D: _global_pool,
    kl.Dropout: _dropout, kl.AlphaDropout: _dropout, kl.GaussianDropout: _noise,
    kl.GaussianNoise: _noise, kl.ReLU: _relu, kl.PReLU: _plain("prelu"), kl.Softmax: _softmax,
    kl.LeakyReLU: lambda seen: ("leaky_relu", {"slope": float(number(seen.layer.negative_slope))}),
    kl.ELU: lambda seen: ("elu", {"alpha": float(number(seen.layer.alpha))}),
    Merge: _merge, kl.Add: _merge, kl.Subtract: _merge, kl.Multiply: _merge, kl.Concatenate: _merge,
    kl.Flatten: _plain("flatten"), kl.Reshape: _plain("reshape"), kl.Permute: _plain("permute"),
    kl.RepeatVector: _plain("expand"), kl.Identity: _plain("identity"), kl.InputLayer: _plain("identity"),
    kl.Masking: _plain(CUSTOM), kl.Cropping1D: _plain("slice"), kl.Cropping2D: _plain("slice"),
    kl.Cropping3D: _plain("slice"), kl.ZeroPadding1D: _zero_pad, kl.ZeroPadding2D: _zero_pad,
    kl.ZeroPadding3D: _zero_pad, kl.UpSampling1D: _upsample, kl.UpSampling2D: _upsample, kl.UpSampling3D: _upsample,
    kl.Rescaling: _plain("rescale"), kl.Normalization: _plain("rescale"),
    kl.ActivityRegularization: _plain("identity"),
    **{cell: (lambda seen, role=role: (role, _recurrent_told(seen.layer, role))) for cell, role in CELLS.items()},
}  # fmt: skip

# The layers that apply an activation to their own result.
FUSED = (kl.Dense, kl.EinsumDense, BaseConv, BaseDepthwiseConv, BaseConvTranspose)


def fused(layer: Any) -> Any:
    """The activation that a known layer applies to its own result; None where it has none."""
    if known(layer, dict.fromkeys(FUSED, True)) is None:
        return None
    activation = vars(layer).get("activation")
    return None if activation is None or activation is activations.linear else activation
