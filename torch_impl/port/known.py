"""What PyTorch's modules and functions are called in core/port/roles.py, and the values that set what they compute.

A module's values are read from its attributes, a function's from its arguments; both have the names of the function's
parameters, so that everything after this file treats them alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from ...core.port.layer import CUSTOM
from .holding import CELLS, RECURRENT

CONVOLUTION = ("stride", "padding", "dilation", "groups", "padding_mode", "kernel_size")
TRANSPOSED = ("stride", "padding", "output_padding", "groups", "dilation", "kernel_size")
MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
AVERAGE_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
BATCH_NORM = ("eps", "momentum")

MODULES: dict[type[nn.Module], tuple[str, tuple[str, ...]]] = {
    nn.Linear: ("dense", ()),
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), ("convolution", CONVOLUTION)),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), ("transposed_convolution", TRANSPOSED)),
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
    nn.MultiheadAttention: ("attention", ("num_heads", "dropout", "batch_first", "head_dim")),
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
    nn.Upsample: ("upsample", ("size", "scale_factor", "mode", "align_corners")),
    **dict.fromkeys((nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d), ("zero_pad", ("padding",))),
    nn.Flatten: ("flatten", ("start_dim", "end_dim")),
    nn.Unflatten: ("reshape", ()),
    nn.Identity: ("identity", ()),
    nn.PixelShuffle: ("pixel_shuffle", ("upscale_factor",)),
}  # fmt: skip

CONV_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TRANSPOSED_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
CONV_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0, "bias": None}
POOL_DEFAULTS = {
    "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True, "divisor_override": None,
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

GIVEN = frozenset(
    {"dense", "convolution", "transposed_convolution", "embedding", "batch_norm", "layer_norm", "group_norm", "rms_norm",
     "instance_norm", "prelu"}
)  # fmt: skip
"""The roles of functions whose weights are arguments, and so are no inputs."""


def bare(func: Any) -> str:
    """The name of a function, be it a method, an operator or in place: `add` for `Tensor.__iadd__`."""
    name = str(getattr(func, "__name__", type(func).__name__))
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", ""))
    return name.strip("_")


def base_of(module: nn.Module) -> type[nn.Module] | None:
    """The class of PyTorch's own that a module is, or None; a subclass counts as long as it computes the same."""
    for kind in type(module).__mro__:
        if kind in MODULES:
            return kind if _computes_alike(module, kind) else None
    return None


def _computes_alike(module: nn.Module, kind: type[nn.Module]) -> bool:
    methods = [name for name in ("forward", "_conv_forward") if hasattr(kind, name)]
    return all(getattr(type(module), name) is getattr(kind, name) for name in methods)


def held_as(module: nn.Module) -> str:
    """The role by which a module's weights lie in it: that of the class of PyTorch's own that it descends from."""
    for kind in type(module).__mro__:
        if kind in CELLS:
            return CELLS[kind]
        if kind in RECURRENT:
            return RECURRENT[kind]
        if kind in MODULES:
            role = MODULES[kind][0]
            return refined(role, {"groups": getattr(module, "groups", 1)}, getattr(module, "in_channels", 0))
    return CUSTOM


def refined(role: str, values: Mapping[str, Any], channels: int) -> str:
    """A convolution with a group for each channel is a depthwise one; an instance norm is a group norm."""
    if role == "convolution" and values["groups"] == channels > 1:
        return "depthwise_convolution"
    return {"instance_norm": "group_norm"}.get(role, role)


def module_values(module: nn.Module, kind: type[nn.Module]) -> dict[str, Any]:
    """The values of a module, and which of its weights it has."""
    found = {name: getattr(module, name) for name in MODULES[kind][1] if hasattr(module, name)}
    for name in ("weight", "bias"):
        found[name] = getattr(module, name, None)
    return found


def bound(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A function's arguments by the names of its parameters; what it does not name is left out."""
    _, parameters, defaults = FUNCTIONS[name]
    found = dict(defaults) | dict(zip(parameters, args, strict=False)) | dict(kwargs)
    if name in ("mean", "sum", "amax", "var", "std") and "axis" in kwargs:
        found["dim"] = kwargs["axis"]
    if "correction" in kwargs:
        found["unbiased"] = kwargs["correction"] == 1
    return found


def ordered(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A module's arguments in the order of its own parameters, wherever they were given by keyword."""
    try:
        found = inspect.signature(module.forward).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return args, kwargs
    return found.args, found.kwargs
