"""One optimizer for groups of weights, each with a share of the learning rate, and with or without decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..core.technique import Optimizer
from .backend import sibling


def grouped(
    spec: Optimizer,
    weights: Sequence[nn.Parameter],
    shares: Sequence[tuple[float, bool]],
    tables: Sequence[nn.Parameter] = (),
) -> torch.optim.Optimizer:
    """The optimizer of a spec, with a group for each share: the factor of the rate, and whether the weights decay.

    A group keeps its factor as `multiplier`, so that a schedule can set `lr` to its rate times that.
    """
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for weight, (factor, decays) in zip(weights, shares, strict=True):
        fields = spec.fields()
        own = {"lr": fields["learning_rate"] * factor, "multiplier": factor}
        own["weight_decay"] = fields["weight_decay"] if decays else 0.0
        groups.setdefault((factor, decays), {"params": [], **own})["params"].append(weight)
    told = {"tables": tables} if spec.TABLES else {}
    optimizer: torch.optim.Optimizer = sibling(spec).build(spec, list(groups.values()), **told)
    return optimizer
