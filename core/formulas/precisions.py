"""Numbers that hold no more than a narrower type does, where the rest of a model is wider."""

from __future__ import annotations

import numpy as np

from .found import Array


def bfloat16(array: Array) -> Array:
    """To eight bits of significand, ties to even; as float64."""
    bits = np.asarray(array, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.asarray(rounded.view(np.float32).astype(np.float64))


def float16(array: Array) -> Array:
    """To eleven bits of significand; as float64."""
    with np.errstate(over="ignore"):
        return np.asarray(np.asarray(array).astype(np.float16).astype(np.float64))


def float32(array: Array) -> Array:
    """To 24 bits of significand; as float64."""
    return np.asarray(np.asarray(array).astype(np.float32).astype(np.float64))


ROUNDINGS = {"bfloat16": bfloat16, "float16": float16, "float32": float32}


def holds(array: Array) -> str:
    """The narrowest type that holds all numbers of an array, or "" where only its own does, or where they are few."""
    whole = np.asarray(array, np.float64)
    whole = whole[np.isfinite(whole)]
    if np.unique(whole).size < 8 or np.all(whole == np.round(whole)):
        return ""
    kinds = ROUNDINGS if array.dtype == np.float64 else {name: ROUNDINGS[name] for name in ("bfloat16", "float16")}
    return next((name for name, function in kinds.items() if np.array_equal(function(whole), whole)), "")


def narrowed(torch: Array, keras: Array) -> tuple[str, str] | None:
    """The side whose numbers are the other side's, most of them, rounded to a narrower type; and that type.

    Numbers that a type merely happens to hold, such as a parameter's own, are not the other side's rounded.
    """
    one, other = holds(torch), holds(keras)
    if bool(one) == bool(other) or torch.shape != keras.shape:
        return None
    narrow, wide = (torch, keras) if one else (keras, torch)
    if 2 * np.count_nonzero(ROUNDINGS[one or other](wide) == narrow) < narrow.size:
        return None
    return ("PyTorch", one) if one else ("Keras", other)
