"""Reptile. See core/architectures/reptile.py."""

from __future__ import annotations

from typing import Any

import torch

from ...core.architectures.reptile import Reptile as Spec
from .. import meta_learning


class Reptile(meta_learning.MetaNetwork):
    def trained(
        self, inputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
        """Mean weights after the steps of each task, and mean losses: before the first step, and after the last."""
        weights = {name: weight.detach() for name, weight in self.own().items()}

        def of_task(inputs: torch.Tensor, targets: torch.Tensor) -> Any:
            batches = list(zip(inputs, targets, strict=True))  # (steps, samples, features) -> (samples, features)
            last = self.inner(self.error, weights, batches)[-1]
            return *last.values(), self.error(weights, *batches[0]), self.error(last, *batches[-1])

        *found, first, last = [result.mean(0) for result in self.over_tasks(of_task, inputs, targets)]
        return dict(zip(weights, found, strict=True)), first, last


class Learner(meta_learning.Learner):
    def step(self, inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        towards, first, last = self.model.trained(inputs, targets)
        for name, weight in self.model.own().items():
            weight.grad = weight.detach() - towards[name]
        self.optimizers["network"].step()
        return first, last


def build(spec: Spec) -> Reptile:
    return Reptile(spec)
