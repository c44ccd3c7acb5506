"""What PyTorch's modules and functions are called in core/port/roles.py, and the values that set what they compute.

A module's values are read from its attributes, a function's from its arguments; both have the names of the function's
parameters, so that everything after this file treats them alike.
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

CONV_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
CONV_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0, "bias": None}
POOL_DEFAULTS = {
    "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True,
    "divisor_override": None,
}  # fmt: skip
TWO = ("input", "other")

# By the function's bare name: the role, the parameters in their order, and the defaults of those that are values.
FUNCTIONS: dict[str, tuple[str, tuple[str, ...], Mapping[str, Any]]] = {
    "linear": ("dense", ("input", "weight", "bias"), {"bias": None}),
    **{f"conv{n}d": ("convolution", CONV_ARGUMENTS, CONV_DEFAULTS) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": ("transposed_convolution", TRANSPOSED_ARGUMENTS, CONV_DEFAULTS) for n in (1, 2, 3)},
    **{f"max_pool{n}d": ("max_pool", ("input", *MAX_POOL), POOL_DEFAULTS) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": ("average_pool", ("input", *AVERAGE_POOL), POOL_DEFAULTS) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": ("adaptive_average_pool", ("input", "output_size"), {}) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": ("adaptive_max_pool", ("input", "output_size"), {}) for n in (1, 2, 3)},
    "embedding": ("embedding", ("input", "weight"), {}),
    "batch_norm": (
        "batch_norm",
        ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
        {"weight": None, "bias": None, "training": False, "momentum": 0.1, "eps": 1e-5},
    ),
    "layer_norm": (
        "layer_norm",
        ("input", "normalized_shape", "weight", "bias", "eps"),
        {"weight": None, "bias": None, "eps": 1e-5},
    ),
    "group_norm": (
        "group_norm",
        ("input", "num_groups", "weight", "bias", "eps"),
        {"weight": None, "bias": None, "eps": 1e-5},
    ),
    "rms_norm": ("rms_norm", ("input", "normalized_shape", "weight", "eps"), {"weight": None, "eps": None}),
    "instance_norm": (
        "instance_norm",
        ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps"),
        {"weight": None, "bias": None, "eps": 1e-5},
    ),
    "prelu": ("prelu", ("input", "weight"), {}),
    "scaled_dot_product_attention": (
        "scaled_dot_product_attention",
        ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"),
        {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False},
    ),
    "relu": ("relu", ("input", "inplace"), {}),
    "relu6": ("relu6", ("input", "inplace"), {}),
    "hardtanh": ("hardtanh", ("input", "min_val", "max_val", "inplace"), {"min_val": -1.0, "max_val": 1.0}),
    "sigmoid": ("sigmoid", ("input",), {}),
    "expit": ("sigmoid", ("input",), {}),
    "tanh": ("tanh", ("input",), {}),
    "silu": ("silu", ("input", "inplace"), {}),
    "softplus": ("softplus", ("input", "beta", "threshold"), {"beta": 1.0, "threshold": 20.0}),
    "softsign": ("softsign", ("input",), {}),
    "mish": ("mish", ("input", "inplace"), {}),
    "selu": ("selu", ("input", "inplace"), {}),
    "hardsigmoid": ("hard_sigmoid", ("input", "inplace"), {}),
    "hardswish": ("hard_swish", ("input", "inplace"), {}),
    "logsigmoid": ("log_sigmoid", ("input",), {}),
    "log_sigmoid": ("log_sigmoid", ("input",), {}),
    "exp": ("exponential", ("input",), {}),
    "gelu": ("gelu", ("input", "approximate"), {"approximate": "none"}),
    "leaky_relu": ("leaky_relu", ("input", "negative_slope", "inplace"), {"negative_slope": 0.01}),
    "elu": ("elu", ("input", "alpha", "inplace"), {"alpha": 1.0}),
    "celu": ("celu", ("input", "alpha", "inplace"), {"alpha": 1.0}),
    "glu": ("glu", ("input", "dim"), {"dim": -1}),
    "softmax": ("softmax", ("input", "dim"), {}),
    "log_softmax": ("log_softmax", ("input", "dim"), {}),
    "dropout": ("dropout", ("input", "p", "training", "inplace"), {"p": 0.5}),
    "feature_dropout": ("spatial_dropout", ("input", "p", "training"), {"p": 0.5}),
    **{f"dropout{n}d": ("spatial_dropout", ("input", "p", "training", "inplace"), {"p": 0.5}) for n in (1, 2, 3)},
    "alpha_dropout": ("alpha_dropout", ("input", "p", "training", "inplace"), {"p": 0.5}),
    "interpolate": (
        "upsample",
        ("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias"),
        {"size": None, "scale_factor": None, "mode": "nearest", "align_corners": None},
    ),
    "pad": ("pad", ("input", "pad", "mode", "value"), {"mode": "constant", "value": None}),
    "normalize": ("l2_normalise", ("input", "p", "dim", "eps"), {"p": 2.0, "dim": 1, "eps": 1e-12}),
    "pixel_shuffle": ("pixel_shuffle", ("input", "upscale_factor"), {}),
    "mean": ("mean", ("input", "dim", "keepdim"), {"dim": None, "keepdim": False}),
    "sum": ("sum", ("input", "dim", "keepdim"), {"dim": None, "keepdim": False}),
    "amax": ("amax", ("input", "dim", "keepdim"), {"dim": (), "keepdim": False}),
    "var": ("variance", ("input", "dim", "unbiased"), {"dim": None, "unbiased": True}),
    "std": ("deviation", ("input", "dim", "unbiased"), {"dim": None, "unbiased": True}),
    **dict.fromkeys(("add", "radd", "iadd"), ("add", TWO, {})),
    **dict.fromkeys(("sub", "subtract", "isub", "rsub"), ("subtract", TWO, {})),
    **dict.fromkeys(("mul", "multiply", "imul", "rmul"), ("multiply", TWO, {})),
    **dict.fromkeys(("div", "divide", "true_divide", "truediv", "rdiv", "rtruediv", "itruediv"), ("divide", TWO, {})),
    **dict.fromkeys(("matmul", "bmm", "mm", "rmatmul"), ("matmul", TWO, {})),
    **dict.fromkeys(("cat", "concat", "concatenate"), ("concatenate", ("tensors", "dim"), {"dim": 0})),
    "flatten": ("flatten", ("input", "start_dim", "end_dim"), {}),
    **dict.fromkeys(("view", "reshape", "unflatten", "view_as", "reshape_as"), ("reshape", ("input",), {})),
    **dict.fromkeys(
        ("permute", "transpose", "swapaxes", "movedim", "moveaxis", "swapdims", "t", "T", "mT"),
        ("permute", ("input",), {}),
    ),
    "squeeze": ("squeeze", ("input",), {}),
    "unsqueeze": ("unsqueeze", ("input",), {}),
    **dict.fromkeys(("contiguous", "clone", "detach", "requires_grad", "alias"), ("identity", ("input",), {})),
    **dict.fromkeys(("split", "chunk", "unbind", "tensor_split"), ("split", ("input",), {})),
    **dict.fromkeys(("getitem", "narrow", "select", "index_select", "gather"), ("slice", ("input",), {})),
    **dict.fromkeys(("stack", "hstack", "vstack"), ("stack", ("tensors",), {})),
    **dict.fromkeys(
        ("to", "type", "type_as", "float", "double", "half", "bfloat16", "long", "int", "bool", "cpu"),
        ("cast", ("input",), {}),
    ),
    **dict.fromkeys(("expand", "expand_as", "repeat", "tile", "broadcast_to"), ("expand", ("input",), {})),
}  # fmt: skip

GIVEN = frozenset({
    "dense", "convolution", "transposed_convolution", "embedding", "batch_norm", "layer_norm", "group_norm", "rms_norm",
    "instance_norm", "prelu",
})  # fmt: skip
"""The roles of functions whose weights are arguments, and so are no inputs."""


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
