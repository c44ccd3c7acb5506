"""How clipping is run on a case. See core/clipping.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..core.clipping import Clipping, of_set
from ..core.technique import Arrays


def trace_clip(clip: Callable[..., Any], spec: Clipping, case: Arrays) -> Arrays:
    """Every gradient of both sets, clipped."""

    def tensors(kind: str) -> list[Any]:
        return [tf.convert_to_tensor(array) for array in of_set(kind, case).values()]

    result: Arrays = {}
    for kind in spec.SETS:
        clipped = clip(spec, tensors(kind), tensors("weight") or None)
        for name, tensor in zip(of_set(kind, case), clipped, strict=True):
            result[f"clipped {kind}.{name}"] = tensor.numpy()
    return result
