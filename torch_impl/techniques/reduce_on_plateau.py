"""Reduction of the rate on a plateau. See core/techniques/reduce_on_plateau.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.reduce_on_plateau import ReduceOnPlateau as Spec


class ReduceOnPlateau(torch.optim.lr_scheduler.ReduceLROnPlateau):
    """`ReduceLROnPlateau` with both conventions. It is given the metric, or all metrics by name."""

    def __init__(self, optimizer: torch.optim.Optimizer, spec: Spec) -> None:
        less = 1 if spec.patience_convention == "reached" else 0
        super().__init__(
            optimizer,
            mode=spec.mode,
            factor=spec.factor,
            patience=max(less, spec.patience) - less,
            threshold=spec.threshold,
            threshold_mode={"relative": "rel", "absolute": "abs"}[spec.threshold_mode],
            cooldown=max(less, spec.cooldown) - less,
            min_lr=[spec.min_rate * group.get("multiplier", 1.0) for group in optimizer.param_groups],
            eps=0.0,
        )
        self.spec = spec

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        super().step(self.spec.value(metrics), epoch)

    def _is_better(self, a: float, best: float) -> bool:
        return self.spec.better(a, best)

    def state_dict(self) -> dict[str, Any]:
        # The spec is what the next run is built from, and a file is read without classes of ours.
        return {name: value for name, value in super().state_dict().items() if name != "spec"}


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> ReduceOnPlateau:
    return ReduceOnPlateau(optimizer, spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    def start() -> tuple[torch.optim.Optimizer, ReduceOnPlateau]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=spec.START)
        return optimizer, build(spec, optimizer)

    def run(optimizer: torch.optim.Optimizer, scheduler: ReduceOnPlateau, metrics: Any) -> list[float]:
        rates = []
        for value in metrics:
            optimizer.step()
            scheduler.step(value)
            rates.append(optimizer.param_groups[0]["lr"])
        return rates

    rates, resumed = [], []
    for metrics in spec.sequences(case):
        first, second = start(), start()
        before = run(*first, metrics[: spec.middle()])
        for part, again in zip(first, second, strict=True):
            again.load_state_dict(part.state_dict())
        resumed.append(run(*second, metrics[spec.middle() :]))
        rates.append(before + run(*first, metrics[spec.middle() :]))
    dtype = case["metrics"].dtype
    return {"rates": np.array(rates, dtype), "rates resumed": np.array(resumed, dtype)}
