"""Attention from its settings alone: another scale, other heads, a mask read the other way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.port.layer import Step
from .telling import ATTENDED, HIDDEN, is_causal

Settings = Mapping[str, Any]


def attended(step: Step, settings: Settings) -> Callable[..., Any] | None:
    """What computes a module of attention with these settings; None where it does more than they say."""
    module = step.handle.module
    if not isinstance(module, nn.MultiheadAttention) or step.inputs[0].ndim != 3:
        return None
    if module.bias_k is not None or module.add_zero_attn or module.embed_dim % settings["heads"]:
        return None

    def run(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # (batch, time, channels), or time first
        first = module.batch_first
        given = [each if first else each.transpose(0, 1) for each in (query, key, value)]
        q, k, v = _projected(module, given, settings["heads"])  # (batch, heads, time, depth)
        scores = q @ k.transpose(-1, -2) * settings["scale"]
        weights = torch.softmax(scores + _mask(module, scores, attn_mask, key_padding_mask, settings), -1)
        joined = (weights @ v).transpose(1, 2).flatten(2)
        output = F.linear(joined, module.out_proj.weight, module.out_proj.bias)
        told = (weights.mean(1) if average_attn_weights else weights) if need_weights else None
        return output if first else output.transpose(0, 1), told

    return run


def _projected(module: Any, given: list[Tensor], heads: int) -> list[Tensor]:
    packed = module.in_proj_weight
    apart = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    weights = apart if packed is None else packed.chunk(3)
    biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    made = [F.linear(x, weight, bias) for x, weight, bias in zip(given, weights, biases, strict=True)]
    return [each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in made]


def _mask(
    module: Any, scores: Tensor, attn_mask: Tensor | None, padding: Tensor | None, settings: Settings
) -> Tensor:  # (batch, heads, time, time)
    batch, _, targets, sources = scores.shape
    causal = is_causal(attn_mask, hidden=True)
    found = torch.zeros(scores.shape, dtype=scores.dtype)
    if settings["causal"]:
        found = found + _added(~torch.ones(targets, sources, dtype=torch.bool).tril(), HIDDEN, scores.dtype)
    if attn_mask is not None and not causal and settings["masked"] is not None:
        held = attn_mask.reshape(batch, -1, targets, sources) if attn_mask.ndim == 3 else attn_mask
        found = found + _added(held, settings["masked"], scores.dtype)
    if padding is not None and settings["masked"] is not None:
        found = found + _added(padding[:, None, None, :], settings["masked"], scores.dtype)
    return found


def _added(mask: Tensor, sense: str, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    hidden = ~mask if sense == ATTENDED else mask
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(hidden, -torch.inf)


def dotted(step: Step, settings: Settings) -> Callable[..., Tensor]:
    """What computes the function `scaled_dot_product_attention` with these settings."""

    def run(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:  # (batch, heads, time, depth)
        mask = None if _is_lower(attn_mask) or settings["masked"] is None else attn_mask
        if mask is not None and mask.dtype == torch.bool and settings["masked"] == HIDDEN:
            mask = ~mask
        if settings["causal"] and mask is not None:
            lower = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
            added = _added(mask, ATTENDED, query.dtype)
            mask = added + _added(lower, ATTENDED, query.dtype)
        alone = bool(settings["causal"]) and mask is None
        return F.scaled_dot_product_attention(
            query, key, value, mask, 0.0, alone, scale=settings["scale"], enable_gqa=enable_gqa
        )

    return run


def _is_lower(mask: Tensor | None) -> bool:
    return is_causal(mask, hidden=False)
