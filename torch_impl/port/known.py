"""What PyTorch's modules are called in core/port/roles.py, and the values that set what they compute.

A module's values are read from its attributes, a function's from its arguments (functional.py); both have the names of
the function's parameters, so that all that comes after treats them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ...core.port.layer import CUSTOM
from .holding import CELLS, RECURRENT

CONVOLUTION = ("stride", "padding", "dilation", "groups", "padding_mode", "kernel_size")
TRANSPOSED = ("stride", "padding", "output_padding", "groups", "dilation", "kernel_size")
MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
AVERAGE_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
BATCH_NORM = ("eps", "momentum")
UPSAMPLE = ("size", "scale_factor", "mode", "align_corners")

MODULES: dict[type[nn.Module], tuple[str, tuple[str, ...]]] = {
    nn.Linear: ("dense", ()),
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), ("convolution", CONVOLUTION)),
    nn.ConvTranspose1d: ("transposed_convolution", TRANSPOSED),
    nn.ConvTranspose2d: ("transposed_convolution", TRANSPOSED),
    nn.ConvTranspose3d: ("transposed_convolution", TRANSPOSED),
    nn.Embedding: ("embedding", ()),
    nn.EmbeddingBag: ("embedding_bag", ("mode",)),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), ("batch_norm", BATCH_NORM)),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), ("instance_norm", ("eps",))),
    nn.LayerNorm: ("layer_norm", ("normalized_shape", "eps")),
    nn.GroupNorm: ("group_norm", ("num_groups", "eps")),
    nn.RMSNorm: ("rms_norm", ("normalized_shape", "eps")),
    nn.LSTM: ("lstm", ("batch_first",)),
    nn.GRU: ("gru", ("batch_first",)),
    nn.RNN: ("rnn", ("batch_first", "nonlinearity")),
    nn.LSTMCell: ("lstm_cell", ()),
    nn.GRUCell: ("gru_cell", ()),
    nn.RNNCell: ("rnn_cell", ("nonlinearity",)),
    nn.MultiheadAttention: ("attention", ("num_heads", "dropout", "head_dim")),
    nn.PReLU: ("prelu", ()),
    nn.ReLU: ("relu", ()),
    nn.ReLU6: ("relu6", ()),
    nn.Hardtanh: ("hardtanh", ("min_val", "max_val")),
    nn.Sigmoid: ("sigmoid", ()),
    nn.Tanh: ("tanh", ()),
    nn.SiLU: ("silu", ()),
    nn.Softplus: ("softplus", ("beta", "threshold")),
    nn.Softsign: ("softsign", ()),
    nn.Mish: ("mish", ()),
    nn.SELU: ("selu", ()),
    nn.Hardsigmoid: ("hard_sigmoid", ()),
    nn.Hardswish: ("hard_swish", ()),
    nn.LogSigmoid: ("log_sigmoid", ()),
    nn.GELU: ("gelu", ("approximate",)),
    nn.LeakyReLU: ("leaky_relu", ("negative_slope",)),
    nn.ELU: ("elu", ("alpha",)),
    nn.CELU: ("celu", ("alpha",)),
    nn.GLU: ("glu", ("dim",)),
    nn.Softmax: ("softmax", ("dim",)),
    nn.Softmax2d: ("softmax2d", ()),
    nn.LogSoftmax: ("log_softmax", ("dim",)),
    nn.Dropout: ("dropout", ("p",)),
    nn.AlphaDropout: ("alpha_dropout", ("p",)),
    **dict.fromkeys((nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), ("spatial_dropout", ("p",))),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), ("max_pool", MAX_POOL)),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), ("average_pool", AVERAGE_POOL)),
    **dict.fromkeys(
        (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), ("adaptive_average_pool", ("output_size",))
    ),
    **dict.fromkeys(
        (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), ("adaptive_max_pool", ("output_size",))
    ),
    nn.Upsample: ("upsample", UPSAMPLE),
    **dict.fromkeys((nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d), ("zero_pad", ("padding",))),
    nn.Flatten: ("flatten", ("start_dim", "end_dim")),
    nn.Unflatten: ("reshape", ()),
    nn.Identity: ("identity", ()),
    **dict.fromkeys((nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d), ("upsample", UPSAMPLE)),
    nn.Hardshrink: ("hard_shrink", ("lambd",)),
    nn.Softshrink: ("soft_shrink", ("lambd",)),
    nn.Tanhshrink: ("tanh_shrink", ()),
    nn.Threshold: ("threshold", ("threshold", "value")),
    nn.Softmin: ("softmin", ("dim",)),
    nn.LPPool1d: ("lp_pool", ()),
    nn.LPPool2d: ("lp_pool", ()),
    nn.LocalResponseNorm: ("local_response_norm", ("size", "alpha", "beta", "k")),
    nn.PixelShuffle: ("pixel_shuffle", ("upscale_factor",)),
    nn.PixelUnshuffle: ("pixel_unshuffle", ("downscale_factor",)),
    nn.ChannelShuffle: ("channel_shuffle", ("groups",)),
    **dict.fromkeys((nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d), ("reflection_pad", ("padding",))),
    **dict.fromkeys((nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d), ("replication_pad", ("padding",))),
    **dict.fromkeys((nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d), ("zero_pad", ("padding", "value"))),
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What a module computes, as far as it is one step: a role, and the attributes that hold its values.

    `fixed` are values that no attribute holds, and `renamed` are attributes of other names: {value: attribute}.
    `slots` are its tensors by the canonical names of what they are, where these are not those of PyTorch's own.
    """

    role: str
    attributes: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    slots: Mapping[str, str] = field(default_factory=dict)


# Classes of other libraries, by name and by an attribute that they have.
NAMED: dict[str, tuple[str, Kind]] = {
    "Conv1D": ("nf", Kind("transposed_dense")),
    "FrozenBatchNorm2d": ("running_var", Kind("batch_norm", ("eps",), {"momentum": 0.0, "frozen": True})),
    "StochasticDepth": ("p", Kind("dropped_path", ("p",))),
    "DropPath": ("drop_prob", Kind("dropped_path", renamed={"p": "drop_prob"})),
}


def kind_of(module: nn.Module) -> Kind | None:
    """What a module is, if it is one step; a subclass of a known class counts as long as it computes the same."""
    for base in type(module).__mro__:
        if base in MODULES:
            role, attributes = MODULES[base]
            return Kind(role, attributes) if _computes_alike(module, base) else None
    attribute, kind = NAMED.get(type(module).__name__, ("", None))
    return kind if kind is not None and hasattr(module, attribute) else None


def _computes_alike(module: nn.Module, base: type[nn.Module]) -> bool:
    methods = [name for name in ("forward", "_conv_forward") if hasattr(base, name)]
    alike = all(getattr(type(module), name) is getattr(base, name) for name in methods)
    return alike and "forward" not in vars(module)


def held_as(module: nn.Module, kind: Kind | None) -> str:
    """The role by which a module's weights lie in it: that of what it is, or of the known class it descends from."""
    if kind is not None and kind.slots:
        return kind.role
    for base in type(module).__mro__:
        if base in CELLS:
            return CELLS[base]
        if base in RECURRENT:
            return RECURRENT[base]
        if base in MODULES:
            return _refined(MODULES[base][0], module)
    return CUSTOM if kind is None else kind.role


def _refined(role: str, module: Any) -> str:
    if role == "convolution" and module.groups == module.in_channels > 1:
        return "depthwise_convolution"
    return {"instance_norm": "group_norm", "embedding_bag": "embedding"}.get(role, role)


def module_values(module: nn.Module, kind: Kind) -> dict[str, Any]:
    """The values of a module, and which of its weights it has."""
    names = {name: name for name in (*kind.attributes, "weight", "bias")} | dict(kind.renamed)
    found = {value: getattr(module, attribute, None) for value, attribute in names.items()}
    return found | dict(kind.fixed)
