"""How a technique of a usual kind is run on a case: the bodies that the techniques' `trace` functions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..core.technique import Arrays, Optimizer


def trace_optimizer(build: Callable[..., Any], slots: Callable[..., Any], spec: Optimizer, case: Arrays) -> Arrays:
    """Every weight after every step, and every slot after the last."""
    names = [key[2:] for key in case if key.startswith("w.")]
    weights = [nn.Parameter(torch.tensor(case[f"w.{name}"])) for name in names]
    optimizer = build(spec, weights)
    history: list[list[torch.Tensor]] = [[] for _ in names]
    for step, rate in enumerate(case["learning_rate"]):
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        for name, weight in zip(names, weights, strict=True):
            weight.grad = torch.tensor(case[f"g.{name}"][step])
        optimizer.step()
        for kept, weight in zip(history, weights, strict=True):
            kept.append(weight.detach().clone())
    result = {name: torch.stack(kept).numpy() for name, kept in zip(names, history, strict=True)}
    for slot, tensors in slots(optimizer, weights).items():
        result |= {f"{slot} of {name}": tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
    return result
