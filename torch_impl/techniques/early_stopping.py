"""Early stopping. See core/techniques/early_stopping.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.early_stopping import EarlyStopping as Spec


class EarlyStopping:
    """To be asked at the end of each epoch."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.epoch, self.best, self.best_epoch, self.wait = 0, spec.worst(), 0, 0
        self.best_weights: dict[str, Any] | None = None

    def step(self, metrics: Any, model: nn.Module) -> bool:
        value, epoch = self.spec.value(metrics), self.epoch
        self.epoch += 1
        better = self.spec.better(value, self.best)
        if better:
            self.best, self.best_epoch, self.wait = value, epoch, 0
        else:
            self.wait += 1
        if self.spec.restore_best and (better or self.best_weights is None):
            self.best_weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        stops = not better and epoch > 0 and self.wait >= self.spec.patience
        if stops:
            self.restore(model)
        return stops

    def restore(self, model: nn.Module) -> None:
        if self.best_weights is not None:
            model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "spec"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def build(spec: Spec) -> EarlyStopping:
    return EarlyStopping(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    def run(metrics: Any, resumes: bool) -> tuple[list[int], list[int], bool, Any]:
        model = nn.Linear(3, 1, bias=False)
        model.weight = nn.Parameter(torch.zeros_like(torch.tensor(case["weights"][:1])))
        stopping, waits, bests, stops = build(spec), [], [], False
        for epoch, value in enumerate(metrics):
            if resumes and epoch == spec.middle():
                state, stopping = stopping.state_dict(), build(spec)
                stopping.load_state_dict(state)
            model.load_state_dict({"weight": torch.tensor(case["weights"][epoch : epoch + 1])})
            stops = stopping.step(value, model)
            waits.append(stopping.wait)
            bests.append(stopping.best_epoch)
            if stops:
                break
        stopping.restore(model)
        return waits, bests, stops, model.weight.detach().numpy()[0]

    result: Arrays = {}
    for suffix, resumes in (("", False), (" resumed", True)):
        waits, bests, stops, weights = zip(*(run(metrics, resumes) for metrics in spec.sequences(case)), strict=True)
        result |= {
            f"waits{suffix}": spec.filled(list(waits)),
            f"best epochs{suffix}": spec.filled(list(bests)),
            f"stopped{suffix}": np.array(stops).astype(int),
            f"weights{suffix}": np.stack(weights),
        }
    return result
