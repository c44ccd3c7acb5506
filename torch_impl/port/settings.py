"""The values of a call in the words of core/port/roles.py, as they come out on the shapes that were observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import torch

Values = Mapping[str, Any]
Shape = tuple[int, ...]
Described = tuple[str, dict[str, Any]]
Padding = tuple[tuple[int, int], ...]


def described(role: str, values: Values, before: Shape, after: Shape) -> Described:
    """The role and the settings of a call. `before` is the shape of its first tensor, `after` of its first result."""
    return READERS[role](values, before, after) if role in READERS else (role, {})


def spread(value: Any, rank: int) -> tuple[Any, ...]:
    """One value for each spatial axis."""
    found = tuple(value) if isinstance(value, Sequence | torch.Size) else (value,)
    return found * rank if len(found) == 1 else found


def _rank(values: Values) -> int:
    return int(values["weight"].ndim) - 2


def _pairs(padding: Any, kernel: Sequence[int], dilation: Sequence[int]) -> Padding:
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    return tuple((int(size), int(size)) for size in spread(padding, len(kernel)))


def _convolution(values: Values, before: Shape, after: Shape) -> Described:
    rank, kernel = _rank(values), tuple(values["weight"].shape[2:])
    dilation = spread(values["dilation"], rank)
    found = {
        "strides": spread(values["stride"], rank),
        "padding": _pairs(values["padding"], kernel, dilation),
        "dilation": dilation,
        "bias": values["bias"] is not None,
        "padding_mode": values.get("padding_mode", "zeros"),
    }
    groups, channels = int(values["groups"]), int(values["weight"].shape[1]) * int(values["groups"])
    if groups == channels > 1:
        return "depthwise_convolution", found
    return "convolution", found | {"groups": groups}


def _transposed(values: Values, before: Shape, after: Shape) -> Described:
    rank = _rank(values)
    extra = spread(values["output_padding"], rank)
    return "transposed_convolution", {
        "strides": spread(values["stride"], rank),
        "padding": tuple((p, p - more) for p, more in zip(spread(values["padding"], rank), extra, strict=True)),
        "dilation": spread(values["dilation"], rank),
        "groups": int(values["groups"]),
        "bias": values["bias"] is not None,
    }


def pool_rank(values: Values, before: Shape, after: Shape) -> int:
    """The number of spatial axes of a pooling."""
    found = values.get("rank")
    return int(found) if found else len(before) - 2


def _pool(values: Values, before: Shape, after: Shape) -> dict[str, Any]:
    rank = pool_rank(values, before, after)
    window = spread(values["kernel_size"], rank)
    given = values["stride"]
    strides = window if given is None or given == [] else spread(given, rank)
    dilation = spread(values.get("dilation", 1), rank)
    padding = []
    for axis in range(rank):
        size, out, p = before[len(before) - rank + axis], after[len(after) - rank + axis], values["padding"]
        p = int(spread(p, rank)[axis])
        reach = (out - 1) * strides[axis] + dilation[axis] * (window[axis] - 1) + 1
        padding.append((p, p + max(0, reach - size - 2 * p)))
    found = {"window": window, "strides": strides, "padding": tuple(padding)}
    return found | ({"dilation": dilation} if any(d != 1 for d in dilation) else {})


def _max_pool(values: Values, before: Shape, after: Shape) -> Described:
    return "max_pool", _pool(values, before, after)


def _average_pool(values: Values, before: Shape, after: Shape) -> Described:
    found = _pool(values, before, after)
    counts = bool(values["count_include_pad"]) and any(any(pair) for pair in found["padding"])
    return "average_pool", found | {"counts_padding": counts}


def _adaptive(word: str) -> Callable[[Values, Shape, Shape], Described]:
    def read(values: Values, before: Shape, after: Shape) -> Described:
        rank = pool_rank(values, before, after)
        sizes, outs = before[-rank:], after[-rank:]
        if sizes == outs:
            return "identity", {}
        if all(out == 1 for out in outs):
            return f"global_{word}_pool", {}
        if all(size % out == 0 for size, out in zip(sizes, outs, strict=True)):
            window = tuple(size // out for size, out in zip(sizes, outs, strict=True))
            found = {"window": window, "strides": window, "padding": ((0, 0),) * rank}
            return f"{word}_pool", found | ({"counts_padding": False} if word == "average" else {})
        return f"adaptive_{word}_pool", {"sizes": outs}

    return read


def _batch_norm(values: Values, before: Shape, after: Shape) -> Described:
    found = {"epsilon": values["eps"], "unbiased": True, "frozen": bool(values.get("frozen", False))}
    return "batch_norm", found | {"momentum": kept_share(values.get("momentum"))}


def kept_share(momentum: float | None) -> float | str:
    """The weight of the old statistics; as one would write it, 0.9 and not 0.90000000000000002 for 0.1."""
    return "cumulative" if momentum is None else float(1 - Decimal(str(momentum)))


def _layer_norm(values: Values, before: Shape, after: Shape) -> Described:
    return "layer_norm", {"epsilon": values["eps"], "axes": len(spread(values["normalized_shape"], 1))}


def _group_norm(values: Values, before: Shape, after: Shape) -> Described:
    return "group_norm", {"epsilon": values["eps"], "groups": int(values["num_groups"])}


def _instance_norm(values: Values, before: Shape, after: Shape) -> Described:
    return "group_norm", {"epsilon": values["eps"], "groups": before[1]}


def _rms_norm(values: Values, before: Shape, after: Shape) -> Described:
    return "rms_norm", {"epsilon": values["eps"]}


# What PyTorch calls one way on one spatial axis, another way on two and a third on three.
METHODS = {"linear": "bilinear", "trilinear": "bilinear", "nearest-exact": "nearest"}


def axis_of(dim: int, rank: int) -> int:
    """An axis as it is called in the canonical layout, where channels are last."""
    dim %= rank
    return -1 if dim == rank - 1 or (dim == 1 and rank > 3) else dim - rank


def _softmax(word: str) -> Callable[[Values, Shape, Shape], Described]:
    def read(values: Values, before: Shape, after: Shape) -> Described:
        dim = values.get("dim")
        if dim is None:  # what PyTorch itself takes where no axis is given
            dim = 0 if len(before) in (0, 1, 3) else 1
        return word, {"axis": axis_of(dim, len(before))}

    return read


def _channel_softmax(values: Values, before: Shape, after: Shape) -> Described:
    return "softmax", {"axis": -1}


def _hardtanh(values: Values, before: Shape, after: Shape) -> Described:
    if (values["min_val"], values["max_val"]) == (0, 6):
        return "relu6", {}
    return "hardtanh", {"least": values["min_val"], "most": values["max_val"]}


def _dropout(values: Values, before: Shape, after: Shape) -> Described:
    return "dropout", {"rate": values["p"], "broadcast": 0}


def _spatial_dropout(values: Values, before: Shape, after: Shape) -> Described:
    return "dropout", {"rate": values["p"], "broadcast": max(0, len(before) - 2)}


def _dropped_path(values: Values, before: Shape, after: Shape) -> Described:
    return "dropout", {"rate": values["p"] or 0.0, "broadcast": max(0, len(before) - 1)}


def _upsample(values: Values, before: Shape, after: Shape) -> Described:
    ratios = [out / size for size, out in zip(before[2:], after[2:], strict=True)]
    return "upsample", {
        "factor": tuple(int(ratio) if ratio == int(ratio) else ratio for ratio in ratios),
        "method": METHODS.get(values["mode"], values["mode"]),
        "aligned": bool(values["align_corners"]),
    }


def _pad(values: Values, before: Shape, after: Shape) -> Described:
    given = list(values["pad"] if "pad" in values else spread(values["padding"], 2 * (len(before) - 2)))
    pairs = tuple(zip(given[::2], given[1::2], strict=True))[::-1]
    mode, value = values.get("mode", "constant"), values.get("value") or 0
    if mode == "constant" and value == 0:
        return "zero_pad", {"padding": pairs}
    return "pad", {"padding": pairs, "mode": mode, "value": value}


def _reduction(word: str, pooled: str = "") -> Callable[[Values, Shape, Shape], Described]:
    def read(values: Values, before: Shape, after: Shape) -> Described:
        dims = values["dim"]
        rank = len(before)
        axes = set(range(rank)) if dims is None or dims == () else {dim % rank for dim in spread(dims, 1)}
        if pooled and rank > 2 and axes == set(range(2, rank)):
            return pooled, {}
        return word, {"axes": tuple(sorted(axes))} | ({"unbiased": values["unbiased"]} if word == "variance" else {})

    return read


def _normalise(values: Values, before: Shape, after: Shape) -> Described:
    return ("l2_normalise" if values["p"] == 2 else "normalise"), {"epsilon": values["eps"]}


def _sdpa(values: Values, before: Shape, after: Shape) -> Described:
    scale = before[-1] ** -0.5 if values["scale"] is None else values["scale"]
    mask = values["attn_mask"]
    causal = is_causal(mask, hidden=False)
    return "scaled_dot_product_attention", {
        "scale": scale,
        "causal": bool(values["is_causal"]) or causal,
        "masked": None if mask is None or causal else ATTENDED if mask.dtype == torch.bool else ADDED,
        "dropout": values["dropout_p"],
    }


ATTENDED, HIDDEN, ADDED = "attend", "ignore", "added"


def is_causal(mask: Any, hidden: bool) -> bool:
    """Whether a mask shows each place those up to itself alone. `hidden` says what True means in it."""
    if mask is None or mask.ndim < 2 or mask.shape[-1] != mask.shape[-2] or mask.shape[-1] < 2:
        return False
    shown = (~mask if hidden else mask) if mask.dtype == torch.bool else mask == 0
    lower = torch.ones(mask.shape[-2:], dtype=torch.bool).tril()
    return bool(torch.equal(shown.cpu(), lower.expand(shown.shape)))


def _attention(values: Values, before: Shape, after: Shape) -> Described:
    masks = [values.get("attn_mask"), values.get("key_padding_mask")]
    causal = is_causal(masks[0], hidden=True)
    given = [mask for mask in (masks[1:] if causal else masks) if mask is not None]
    boolean = any(mask.dtype == torch.bool for mask in given)
    return "attention", {
        "heads": int(values["num_heads"]),
        "scale": values["head_dim"] ** -0.5,
        "causal": causal,
        "masked": HIDDEN if boolean else ADDED if given else None,
        "dropout": values["dropout"],
    }


def _slope(values: Values, before: Shape, after: Shape) -> Described:
    return "leaky_relu", {"slope": values["negative_slope"]}


def _bias(word: str) -> Callable[[Values, Shape, Shape], Described]:
    return lambda values, before, after: (word, {"bias": values["bias"] is not None})


def _recurrent(word: str) -> Callable[[Values, Shape, Shape], Described]:
    def read(values: Values, before: Shape, after: Shape) -> Described:
        found = {"activation": values.get("nonlinearity", "tanh"), "reversed": False, "bias": values["bias"] is True}
        if word != "rnn":
            found["recurrent_activation"] = "sigmoid"
        return word, found | ({"reset_after": True} if word == "gru" else {})

    return read


def _reflected(values: Values, before: Shape, after: Shape) -> Described:
    return _pad({"padding": values["padding"], "mode": "reflect"}, before, after)


def _replicated(values: Values, before: Shape, after: Shape) -> Described:
    return _pad({"padding": values["padding"], "mode": "replicate"}, before, after)


READERS: dict[str, Callable[[Values, Shape, Shape], Described]] = {
    "dense": _bias("dense"),
    "transposed_dense": _bias("dense"),
    "convolution": _convolution,
    "transposed_convolution": _transposed,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "adaptive_average_pool": _adaptive("average"),
    "adaptive_max_pool": _adaptive("max"),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "rms_norm": _rms_norm,
    "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "softmax2d": _channel_softmax,
    "hardtanh": _hardtanh,
    "gelu": lambda values, before, after: ("gelu", {"approximate": values["approximate"] == "tanh"}),
    "leaky_relu": _slope,
    "elu": lambda values, before, after: ("elu", {"alpha": values["alpha"]}),
    "dropout": _dropout,
    "spatial_dropout": _spatial_dropout,
    "dropped_path": _dropped_path,
    "attention": _attention,
    "upsample": _upsample,
    "reflection_pad": _reflected,
    "replication_pad": _replicated,
    "zero_pad": _pad,
    "pad": _pad,
    "mean": _reduction("mean", "global_average_pool"),
    "sum": _reduction("sum"),
    "amax": _reduction("maximum", "global_max_pool"),
    "variance": _reduction("variance"),
    "l2_normalise": _normalise,
    "scaled_dot_product_attention": _sdpa,
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "rnn": _recurrent("rnn"),
}
