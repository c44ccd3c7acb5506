"""Clipping of each gradient by its own norm. See core/techniques/clip_by_norm.py."""

from __future__ import annotations

from typing import Any

import torch

from ...core.technique import Arrays
from ...core.techniques.clip_by_norm import ClipByNorm as Spec
from ..clipping import trace_clip


def clip(spec: Spec, gradients: list[torch.Tensor], weights: Any = None) -> list[torch.Tensor]:
    norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
    return [
        gradient * (spec.max_norm / torch.clamp(norm + spec.epsilon, min=spec.max_norm))
        for gradient, norm in zip(gradients, norms, strict=True)
    ]


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_clip(clip, spec, case)
