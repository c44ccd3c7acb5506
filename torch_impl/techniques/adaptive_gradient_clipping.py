"""Clipping of each unit's gradient by the norm of its weights. See core/techniques/adaptive_gradient_clipping.py."""

from __future__ import annotations

from typing import Any

import torch

from ...core.technique import Arrays
from ...core.techniques.adaptive_gradient_clipping import AdaptiveGradientClipping as Spec
from ...core.techniques.adaptive_gradient_clipping import is_one_unit, require_weights
from ..clipping import trace_clip


def clip(spec: Spec, gradients: list[torch.Tensor], weights: Any = None) -> list[torch.Tensor]:
    require_weights(gradients, weights)
    clipped = []
    for gradient, weight in zip(gradients, weights, strict=True):
        largest = spec.clipping * unit_norms(weight.detach()).clamp(min=spec.epsilon)
        clipped.append(gradient * (largest / torch.maximum(unit_norms(gradient), largest)))
    return clipped


def unit_norms(tensor: torch.Tensor) -> torch.Tensor:
    """The norm of each unit, the first axis, with the rank of the tensor."""
    axes = None if is_one_unit(tuple(tensor.shape)) else tuple(range(1, tensor.ndim))
    return torch.linalg.vector_norm(tensor, dim=axes, keepdim=True)


def trace(spec: Spec, case: Arrays) -> Arrays:
    return trace_clip(clip, spec, case)
