"""How clipping is run on a case. See core/clipping.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..core.clipping import Clipping, of_set
from ..core.technique import Arrays
from .layout import to_canonical, to_native


def trace_clip(clip: Callable[..., Any], spec: Clipping, case: Arrays) -> Arrays:
    """Every gradient of both sets, clipped."""

    def tensors(kind: str) -> list[torch.Tensor]:
        arrays = of_set(kind, case).items()
        return [torch.tensor(to_native(array, spec.AXES[name])) for name, array in arrays]

    result: Arrays = {}
    for kind in spec.SETS:
        clipped = clip(spec, tensors(kind), tensors("weight") or None)
        for name, tensor in zip(of_set(kind, case), clipped, strict=True):
            result[f"clipped {kind}.{name}"] = to_canonical(tensor.numpy(), spec.AXES[name])
    return result
