"""Weights of PyTorch's other libraries, of live models and of files. Nothing in a file is ever executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.technique import Arrays


def is_live(item: Any) -> bool:
    """Whether this is a model of this framework, or its weights in memory."""
    return isinstance(item, nn.Module) or (
        isinstance(item, Mapping) and bool(item) and all(isinstance(value, torch.Tensor) for value in item.values())
    )


def arrays_of(item: Any) -> Arrays:
    """The weights of a live model by name, without a copy where that can be."""
    tensors = item.state_dict() if isinstance(item, nn.Module) else item
    return {name: _array(tensor) for name, tensor in tensors.items()}


def write_into(item: Any, arrays: Arrays) -> None:
    """Copy arrays into a live model, in its precision."""
    tensors = item.state_dict(keep_vars=True) if isinstance(item, nn.Module) else item
    with torch.no_grad():
        for name, array in arrays.items():
            tensors[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _array(tensor: torch.Tensor) -> np.ndarray:
    held = tensor.detach().cpu()
    if held.dtype == torch.bfloat16:  # which NumPy lacks; float32 holds each of its numbers
        held = held.float()
    return held.numpy()
