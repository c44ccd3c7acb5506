"""What PyTorch's functions are called in core/port/roles.py, and the parameters that set what they compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .known import AVERAGE_POOL, MAX_POOL

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
    **dict.fromkeys(("clamp", "clip"), ("clamp", ("input", "min", "max"), {"min": None, "max": None})),
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
    **dict.fromkeys(
        ("expand", "expand_as", "repeat", "tile", "broadcast_to", "repeat_interleave"), ("expand", ("input",), {})
    ),
}  # fmt: skip

GIVEN = frozenset({
    "dense", "convolution", "transposed_convolution", "embedding", "batch_norm", "layer_norm", "group_norm", "rms_norm",
    "instance_norm", "prelu",
})  # fmt: skip
"""The roles of functions whose weights are arguments, and so are no inputs."""
