"""What a subclass of a native optimizer does around the native step: the closure first, then decoupled decay."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch


def evaluated(closure: Callable[[], Any] | None) -> Any:
    """The loss of a closure, which must be known before any weight is changed; None without a closure."""
    with torch.enable_grad():
        return closure() if closure is not None else None


@contextlib.contextmanager
def decoupled(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Shrink each weight that has a gradient by its group's rate times decay; the native class then sees no decay."""
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    try:
        for group, decay in zip(optimizer.param_groups, decays, strict=True):
            for weight in group["params"] if decay else []:
                if weight.grad is not None:
                    weight.detach().mul_(1 - group["lr"] * decay)
            group["weight_decay"] = 0.0
        yield
    finally:
        for group, decay in zip(optimizer.param_groups, decays, strict=True):
            group["weight_decay"] = decay
