"""Clipping of each element of the gradients. See core/techniques/clip_by_value.py."""

from __future__ import annotations

from typing import Any

import torch

from ...core.technique import Arrays
from ...core.techniques.clip_by_value import ClipByValue as Spec
from ..clipping import trace_clip


def clip(spec: Spec, gradients: list[torch.Tensor], weights: Any = None) -> list[torch.Tensor]:
    return [gradient.clamp(-spec.clip_value, spec.clip_value) for gradient in gradients]


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_clip(clip, spec, case)
