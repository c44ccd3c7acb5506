"""Groups of weights, each with its own learning rate and decay. See core/techniques/parameter_groups.py."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import nn

from ...core import practice
from ...core.technique import Arrays, Optimizer
from ...core.techniques.parameter_groups import ParameterGroups as Spec
from ..backend import sibling
from ..groups import grouped
from ..practice import practise


def build(
    spec: Spec, optimizer_spec: Optimizer, named: dict[str, nn.Parameter], tables: Sequence[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    return grouped(optimizer_spec, list(named.values()), list(spec.shares(named).values()), tables)


def slots(
    optimizer_spec: Optimizer, optimizer: torch.optim.Optimizer, weights: list[nn.Parameter]
) -> dict[str, list[torch.Tensor]]:
    kept: dict[str, list[torch.Tensor]] = sibling(optimizer_spec).slots(optimizer, weights)
    return kept


def trace(spec: Spec, case: Arrays) -> Arrays:
    def built(optimizer: Optimizer, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
        names = [weight.name for weight in practice.WEIGHTS]
        return build(spec, optimizer, dict(zip(names, weights, strict=True)))

    return practise(built, functools.partial(slots, spec.TRIED), spec.TRIED, case)
