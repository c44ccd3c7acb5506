"""The mask of an attention as an input of its own, and the sizes of the examples that attention is checked on."""

from __future__ import annotations

import numpy as np

from .axes import Array
from .spec import Tensor
from .transformer_parts import MASK

MASKS = ("none", "boolean", "additive")
QUERIES, KEYS = 5, 6


def mask_input(mask: str, num_heads: int, queries: int = QUERIES, keys: int = KEYS) -> tuple[Tensor, ...]:
    """The input `attention_mask`, if any: 1 for "attend", or numbers that are added to the scores."""
    shape = (None, num_heads, queries, keys)
    if mask == "none":
        return ()
    return (Tensor("attention_mask", MASK, shape, *(("int", 2) if mask == "boolean" else ())),)


def masked(arrays: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """An example whose boolean mask, if it has one, leaves out a third, and in one row of one sample everything."""
    given = arrays.get("attention_mask")
    if given is not None and given.dtype.kind == "i":
        mask = (rng.random(given.shape) > 1 / 3).astype(np.int64)
        mask[:, :, 0, 0] = 1
        mask[-1, :, given.shape[2] // 2] = 0
        arrays["attention_mask"] = mask
    return arrays


def mask_of_another_form(form: str, dtype: str) -> str:
    """The sentence for a mask that would mean something else: numbers are added, 1 and 0 say what is attended to."""
    if form == "additive":
        return f"this attention_mask is added to the scores, so it must hold floating-point numbers, not {dtype}"
    return f"this attention_mask says where to attend, by True and False or 1 and 0, and not by numbers of {dtype}"
