"""Units that no sample activates. See core/techniques/dead_units.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.dead_units import DeadUnits as Spec
from ..observing import relus


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    def dead(activations: torch.Tensor, axis: int = -1) -> torch.Tensor:
        small = activations.abs() <= spec.threshold
        return small.movedim(axis, -1).flatten(0, -2).all(dim=0)  # (units)

    return dead


def watch(spec: Spec, model: nn.Module, inputs: Sequence[Any]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for name, mask in relus(model, inputs, build(spec)):
        shares[spec.numbered(name, shares)] = mask.double().mean().item()
    return shares


def trace(spec: Spec, case: Arrays) -> Arrays:
    result: Arrays = {}
    for name, array in case.items():
        tensor = torch.relu(torch.tensor(array)).movedim(-1, 1)  # (batch, units, ...), as feature maps are
        dead = build(spec)(tensor, axis=1)
        share = dead.to(tensor.dtype).mean()
        result |= {f"dead of {name}": dead.numpy(), f"share of {name}": np.asarray(share)}
    return result
