"""The values of a call in the words of core/port/roles.py, as they come out on the shapes that were observed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import torch

from . import spatial
from .running import EPSILON
from .spatial import Described, Shape, Values, spread


def described(role: str, values: Values, before: Shape, after: Shape) -> Described:
    """The role and the settings of a call. `before` is the shape of its first tensor, `after` of its first result."""
    return READERS[role](values, before, after) if role in READERS else (role, {})


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
    return "rms_norm", {"epsilon": EPSILON if values["eps"] is None else values["eps"]}


def _clamp(values: Values, before: Shape, after: Shape) -> Described:
    bounds = (values["min"], values["max"])
    if any(isinstance(bound, torch.Tensor) for bound in bounds):
        return "clamp", {}
    if None not in bounds and bounds != (0, 6):
        return "hardtanh", {"least": float(bounds[0]), "most": float(bounds[1])}
    return {(0, None): "relu", (0, 6): "relu6"}.get(bounds, "clamp"), {}


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
    return "hardtanh", {"least": float(values["min_val"]), "most": float(values["max_val"])}


def _dropout(values: Values, before: Shape, after: Shape) -> Described:
    return "dropout", {"rate": values["p"], "broadcast": 0}


def _spatial_dropout(values: Values, before: Shape, after: Shape) -> Described:
    return "dropout", {"rate": values["p"], "broadcast": max(0, len(before) - 2)}


def _dropped_path(values: Values, before: Shape, after: Shape) -> Described:
    return "dropout", {"rate": values["p"] or 0.0, "broadcast": max(0, len(before) - 1)}


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


READERS: dict[str, Callable[[Values, Shape, Shape], Described]] = {
    "dense": _bias("dense"),
    "transposed_dense": _bias("dense"),
    "convolution": spatial.convolution,
    "transposed_convolution": spatial.transposed,
    "max_pool": spatial.max_pool,
    "average_pool": spatial.average_pool,
    "adaptive_average_pool": spatial.adaptive("average"),
    "adaptive_max_pool": spatial.adaptive("max"),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "rms_norm": _rms_norm,
    "clamp": _clamp,
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
    "upsample": spatial.upsample,
    "reflection_pad": spatial.reflected,
    "replication_pad": spatial.replicated,
    "zero_pad": spatial.pad,
    "pad": spatial.pad,
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
