"""Clipping of all gradients by their common norm. See core/techniques/clip_by_global_norm.py."""

from __future__ import annotations

import torch

from ...core.technique import Arrays
from ...core.techniques.clip_by_global_norm import ClipByGlobalNorm as Spec


def clip(spec: Spec, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
    norm = torch.nn.utils.get_total_norm(gradients)
    scale = torch.clamp(spec.max_norm / (norm + spec.epsilon), max=1.0)
    return [gradient * scale for gradient in gradients]


def trace(spec: Spec, case: Arrays) -> Arrays:
    result: Arrays = {}
    for norm in ("long", "short"):
        gradients = {name: torch.tensor(array) for name, array in case.items() if name.startswith(f"{norm}.")}
        clipped = clip(spec, list(gradients.values()))
        result |= {f"clipped {name}": tensor.numpy() for name, tensor in zip(gradients, clipped, strict=True)}
    return result
