"""How a technique of a usual kind is run on a case: the bodies that the techniques' `trace` functions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.axes import Array
from ..core.technique import Arrays, Optimizer
from .layout import to_canonical, to_native
from .practice import practise


def trace_optimizer(build: Callable[..., Any], slots: Callable[..., Any], spec: Optimizer, case: Arrays) -> Arrays:
    """Every weight after every given step and every slot after the last; then what the small network gives."""
    names = [key[2:] for key in case if key.startswith("w.")]
    weights = [nn.Parameter(torch.tensor(to_native(case[f"w.{name}"], spec.AXES[name]))) for name in names]
    optimizer = build(spec, weights)
    history: list[list[Array]] = [[] for _ in names]
    for step, rate in enumerate(case["learning_rate"]):
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        for name, weight in zip(names, weights, strict=True):
            weight.grad = torch.tensor(to_native(case[f"g.{name}"][step], spec.AXES[name]))
        optimizer.step()
        for name, kept, weight in zip(names, history, weights, strict=True):
            kept.append(to_canonical(weight.detach().numpy().copy(), spec.AXES[name]))
    result = {name: np.stack(kept) for name, kept in zip(names, history, strict=True)}
    for slot, tensors in slots(optimizer, weights).items():
        for name, tensor in zip(names, tensors, strict=True):
            if tensor is not None:
                result[f"{slot} of {name}"] = to_canonical(tensor.numpy(), spec.slot_axes(slot, spec.AXES[name]))
    return result | practise(build, slots, spec, case)
