"""The words in which a layer of either framework is described: roles, the axes of their weights, and their settings.

`SLOTS` gives the canonical axes of every weight, by role and by the slot's name. Spatial axes are `width` for one,
`height width` for two and `depth height width` for three; `SPACE` stands for them. `SETTINGS` are hyperparameters that
change what a layer computes, by role; the words are those in which a cause is told. All paddings are what is really
added on the observed input, as ((before, after), ...) in the order of the spatial axes, whatever they are called.
"""

from __future__ import annotations

GATES = {"lstm": ("input", "forget", "cell", "output"), "gru": ("reset", "update", "new"), "rnn": ("hidden",)}

# A recurrent layer has a `kernel.GATE`, a `recurrent_kernel.GATE`, a `bias.GATE`, and a GRU with `reset_after` a
# `recurrent_bias.GATE`; each layer and direction of a stacked one is a Layer of its own.
SLOTS = {
    "dense": {"kernel": "in out", "bias": "out"},
    "convolution": {"kernel": "SPACE in out", "bias": "out"},
    "depthwise_convolution": {"kernel": "SPACE channels multiplier", "bias": "(channels multiplier)"},
    "transposed_convolution": {"kernel": "SPACE out in", "bias": "out"},
    "embedding": {"table": "tokens channels"},
    "batch_norm": {"gamma": "channels", "beta": "channels", "mean": "channels", "variance": "channels"},
    "layer_norm": {"gamma": "channels", "beta": "channels"},  # or axis0 axis1 … where it normalises several
    "group_norm": {"gamma": "channels", "beta": "channels"},
    "rms_norm": {"gamma": "channels"},
    "lstm": {"kernel": "in out", "recurrent_kernel": "in out", "bias": "out"},
    "gru": {"kernel": "in out", "recurrent_kernel": "in out", "bias": "out", "recurrent_bias": "out"},
    "rnn": {"kernel": "in out", "recurrent_kernel": "in out", "bias": "out"},
    "attention": {
        "query.kernel": "in heads depth", "query.bias": "heads depth",
        "key.kernel": "in heads depth", "key.bias": "heads depth",
        "value.kernel": "in heads depth", "value.bias": "heads depth",
        "output.kernel": "heads depth out", "output.bias": "out",
    },
    "prelu": {"alpha": "channels"},
}  # fmt: skip

SETTINGS = {
    "dense": ("bias",),
    "convolution": ("strides", "padding", "dilation", "groups", "bias", "padding_mode"),
    "depthwise_convolution": ("strides", "padding", "dilation", "bias", "padding_mode"),
    "transposed_convolution": ("strides", "padding", "dilation", "groups", "bias"),
    "embedding": (),
    "batch_norm": ("epsilon", "momentum", "unbiased", "frozen"),  # momentum: the weight of the old statistics
    "layer_norm": ("epsilon", "axes"),  # axes: how many of the last ones, in the canonical layout
    "group_norm": ("epsilon", "groups"),
    "rms_norm": ("epsilon",),
    "lstm": ("activation", "recurrent_activation", "reversed", "bias"),
    "gru": ("activation", "recurrent_activation", "reversed", "bias", "reset_after"),
    "rnn": ("activation", "reversed", "bias"),
    "attention": ("heads", "scale", "causal", "masked", "dropout"),  # masked: what True in the mask given to it means
    "scaled_dot_product_attention": ("scale", "causal", "masked", "dropout"),
    "max_pool": ("window", "strides", "padding"),
    "average_pool": ("window", "strides", "padding", "counts_padding"),
    "global_max_pool": (), "global_average_pool": (),
    "relu": (), "relu6": (), "sigmoid": (), "tanh": (), "silu": (), "softplus": (), "softsign": (), "mish": (),
    "selu": (), "hard_sigmoid": (), "hard_swish": (), "log_sigmoid": (), "exponential": (), "prelu": (),
    "gelu": ("approximate",), "leaky_relu": ("slope",), "elu": ("alpha",), "hardtanh": ("least", "most"),
    "softmax": ("axis",),
    "log_softmax": ("axis",),  # axis: -1 for the last one in the canonical layout
    "dropout": ("rate", "broadcast"),  # broadcast: how many axes share one draw
    "noise": ("rate",),
    "upsample": ("factor", "method", "aligned"),
    "zero_pad": ("padding",), "pad": ("padding", "mode"),  # mode: reflect, symmetric, replicate, circular, or a number
    "add": (), "subtract": (), "multiply": (), "divide": (), "concatenate": (), "matmul": (), "mean": (), "sum": (),
    "variance": ("unbiased",),
    "l2_normalise": ("epsilon",),
}  # fmt: skip

# What does nothing in evaluation mode, and acts by chance in training.
CHANCE = frozenset({"dropout", "noise"})

# Where channels are behind the batch in PyTorch, and where they are last in both.
SPATIAL = frozenset(
    {"convolution", "depthwise_convolution", "transposed_convolution", "batch_norm", "group_norm", "max_pool",
     "average_pool", "global_max_pool", "global_average_pool", "upsample", "zero_pad", "prelu"}
)  # fmt: skip
FLAT = frozenset({"dense", "layer_norm", "rms_norm", "attention", "scaled_dot_product_attention", "embedding"})

# What only moves numbers about, or does nothing in evaluation mode: no arithmetic, so nothing to match or to replay.
MOVING = frozenset(
    {"flatten", "reshape", "permute", "squeeze", "unsqueeze", "identity", "split", "slice", "stack", "cast", "expand"}
)


def layout_of(role: str) -> str:
    """The word of core/port/layouts.py that a role's tensors have, or nothing where either may be."""
    return "channels" if role in SPATIAL else "same" if role in FLAT else ""


def settings_of(role: str) -> tuple[str, ...]:
    """The settings of a role; none for a role without."""
    return SETTINGS.get(role, ())
