"""Elementwise functions by the role and the settings that both frameworks know them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Elementwise = Callable[[Tensor], Tensor]

PLAIN: dict[str, Elementwise] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "mish": F.mish,
    "selu": F.selu,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
    "log_sigmoid": F.logsigmoid,
    "exponential": torch.exp,
}
SET: dict[str, Callable[[Mapping[str, Any]], Elementwise]] = {
    "gelu": lambda given: lambda x: F.gelu(x, approximate="tanh" if given.get("approximate") else "none"),
    "leaky_relu": lambda given: lambda x: F.leaky_relu(x, given.get("slope", 0.01)),
    "elu": lambda given: lambda x: F.elu(x, given.get("alpha", 1.0)),
}


def activation(role: str, settings: Mapping[str, Any]) -> Elementwise | None:
    """The function of a role; None where it is none that takes each number by itself."""
    if role in SET:
        return SET[role](settings)
    return PLAIN.get(role)
