"""Clipping of all gradients by their common norm. See core/techniques/clip_by_global_norm.py."""

from __future__ import annotations

from typing import Any

import torch

from ...core.technique import Arrays
from ...core.techniques.clip_by_global_norm import ClipByGlobalNorm as Spec
from ..clipping import trace_clip


def clip(spec: Spec, gradients: list[torch.Tensor], weights: Any = None) -> list[torch.Tensor]:
    norm = torch.nn.utils.get_total_norm(gradients)
    scale = torch.clamp(spec.max_norm / (norm + spec.epsilon), max=1.0)
    return [gradient * scale for gradient in gradients]


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_clip(clip, spec, case)
