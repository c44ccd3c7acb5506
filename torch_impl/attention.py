"""What every softmax attention shares: the map, its dropout, and the fused kernel where nobody looks at the map."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..core.errors import InputError
from ..core.masks import mask_of_another_form
from ..core.transformer_parts import MASKED_SCORE
from .techniques.dropout import Dropout


class AttentionMap(nn.Module):
    """Softmax over the keys. A boolean mask's True means "attend"; a mask of numbers is added to the scores.

    A row in which every key is masked, by False or by minus infinity, is zero. While `explicit` is set, nothing is
    fused, so that there is a map to look at.
    """

    explicit = False

    def forward(self, scores: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        if attention_mask is None:
            return torch.softmax(scores, dim=-1)
        if attention_mask.is_floating_point():
            masked = attention_mask == -math.inf
            scores = scores + attention_mask.masked_fill(masked, 0.0)
        else:
            masked = ~attention_mask
        lowest = max(MASKED_SCORE, torch.finfo(scores.dtype).min)  # half precision does not reach as far
        return torch.softmax(scores.masked_fill(masked, lowest), dim=-1).masked_fill(masked, 0.0)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    attention_map: AttentionMap,
    map_dropout: Dropout,
    need_weights: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Values weighed by the map, (..., queries, channels), and the map before dropout if it is needed.

    The fused kernel makes no map and takes no shared dropout mask: where there are these, and in float64, where it is
    decided, the explicit form is computed.
    """
    rate = map_dropout.p if map_dropout.training else 0.0
    shared = rate > 0 and map_dropout.shared is not None
    if query.dtype != torch.float64 and not (need_weights or attention_map.explicit or shared):
        return F.scaled_dot_product_attention(query, key, value, attention_mask, dropout_p=rate), None
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (..., queries, keys)
    weights = attention_map(scores, attention_mask)
    return map_dropout(weights) @ value, weights


def as_mask(given: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor, form: str) -> torch.Tensor | None:
    """A mask as the map takes it, of a spec's `form`: zeros and ones become boolean, and numbers those of the query.

    Raises InputError for one of another shape or another form.
    """
    if given is None:
        return None
    if given.is_floating_point() != (form == "additive"):
        raise InputError(mask_of_another_form(form, str(given.dtype)))
    shape, wanted = tuple(given.shape), (*query.shape[:3], key.shape[2])
    if len(shape) != 4 or any(size not in (1, fitting) for size, fitting in zip(shape, wanted, strict=True)):
        raise InputError(
            f"an attention_mask of {shape} does not fit {wanted[1]} heads, {wanted[2]} queries and {wanted[3]} keys "
            f"in a batch of {wanted[0]}; it must be (batch, heads, queries, keys)"
        )
    return given.to(query.dtype) if form == "additive" else given.bool()


def as_padding(given: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """A mask of keys alone, (batch, keys), as booleans. Raises InputError for one of another shape, or of numbers."""
    if given.is_floating_point():
        raise InputError(mask_of_another_form("boolean", str(given.dtype)))
    wanted = (key.shape[0], key.shape[-2])
    if given.shape != wanted:
        raise InputError(
            f"an attention_mask of {tuple(given.shape)} does not fit {wanted[1]} keys in a batch of {wanted[0]}; "
            "it must be (batch, keys)"
        )
    return given.bool()


def split_heads(x: torch.Tensor, num_heads: int) -> torch.Tensor:
    batch, time, channels = x.shape
    return x.view(batch, time, num_heads, channels // num_heads).transpose(1, 2)  # (batch, heads, time, channels)


def join_heads(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)  # (batch, time, channels)
