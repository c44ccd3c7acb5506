"""Progressive unfreezing. See core/techniques/progressive_unfreezing.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.progressive_unfreezing import ProgressiveUnfreezing as Spec


class ProgressiveUnfreezing:
    """The weights by name, and which of them train."""

    def __init__(self, spec: Spec, named: dict[str, nn.Parameter]) -> None:
        self.spec, self.named, self.stages = spec, dict(named), spec.stages(named)

    def groups(self, learning_rate: float) -> list[dict[str, Any]]:
        found = []
        for names in self.stages:
            multiplier = self.spec.multiplier(names[0])
            weights = [self.named[name] for name in names]
            found.append({"params": weights, "lr": learning_rate * multiplier, "multiplier": multiplier})
        return found

    def set_epoch(self, epoch: int) -> None:
        trains = set(self.spec.trainable(self.named, epoch))
        for name, weight in self.named.items():
            weight.requires_grad_(name in trains)
            if name not in trains:
                weight.grad = None  # one that is left over would move it


def build(spec: Spec, named: dict[str, nn.Parameter]) -> ProgressiveUnfreezing:
    return ProgressiveUnfreezing(spec, named)


def trace(spec: Spec, case: Arrays) -> Arrays:
    named = {key[2:]: nn.Parameter(torch.tensor(array)) for key, array in case.items() if key.startswith("w.")}
    unfreezing = build(spec, named)
    groups = unfreezing.groups(spec.RATE)
    optimizer = torch.optim.SGD(groups)
    history: dict[str, list[Any]] = {name: [] for name in named}
    for epoch in range(len(case[f"g.{next(iter(named))}"])):
        unfreezing.set_epoch(epoch)
        optimizer.zero_grad()
        loss = sum((weight * torch.tensor(case[f"g.{name}"][epoch])).sum() for name, weight in named.items())
        loss.backward()
        optimizer.step()
        for name, weight in named.items():
            history[name].append(weight.detach().numpy().copy())
    factors = {id(weight): group["multiplier"] for group in groups for weight in group["params"]}
    dtype = case[f"w.{next(iter(named))}"].dtype
    result = {name: np.stack(kept) for name, kept in history.items()}
    return result | {f"factor of {name}": np.array(factors[id(named[name])], dtype) for name in named}
