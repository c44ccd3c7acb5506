"""Statistics of each weight's gradient and of its step. See core/techniques/gradient_flow.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...core.history import STATISTICS
from ...core.technique import Arrays
from ...core.techniques.gradient_flow import GradientFlow as Spec


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    @torch.no_grad()
    def flow(gradients: Sequence[Any], before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> torch.Tensor:
        rows = [row(spec, *weight) for weight in zip(gradients, before, after, strict=True)]
        return torch.stack(rows)  # (weights, statistics)

    return flow


def row(spec: Spec, gradient: Any, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    gradient = torch.zeros_like(before) if gradient is None else gradient.to_dense()
    gradient, before, after = wide(gradient), wide(before), wide(after)
    freedom = 1 if spec.deviation == "sample" and gradient.numel() > 1 else 0
    length = torch.linalg.vector_norm(before)
    update = torch.linalg.vector_norm(after - before) / length
    return torch.stack([
        gradient.mean(),
        gradient.std(correction=freedom),
        torch.linalg.vector_norm(gradient),
        (gradient == 0).to(gradient.dtype).mean(),
        torch.where(length > 0, update, torch.nan),
    ])  # fmt: skip


def wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def trace(spec: Spec, case: Arrays) -> Arrays:
    names = [key[2:] for key in case if key.startswith("g.")]
    gradients, before, after = ([torch.tensor(case[f"{kind}.{name}"]) for name in names] for kind in "gba")
    place = names.index("embedding")
    tokens = torch.tensor(case["tokens"])[None]
    gradients[place] = torch.sparse_coo_tensor(tokens, gradients[place], before[place].shape, check_invariants=True)
    values = build(spec)(gradients, before, after).numpy()
    return dict(zip(STATISTICS, values.T, strict=True))
