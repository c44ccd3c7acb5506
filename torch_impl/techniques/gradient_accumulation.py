"""Gradient accumulation. See core/techniques/gradient_accumulation.py."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...core.technique import Arrays
from ...core.techniques.gradient_accumulation import GradientAccumulation as Spec


class Accumulation:
    """What has been summed up in `.grad` since the last step: `weigh` each loss, and `average` before the step."""

    def __init__(self, spec: Spec, optimizer: torch.optim.Optimizer) -> None:
        self.spec, self.optimizer = spec, optimizer
        self.first = self.samples = 0

    def weigh(self, loss: torch.Tensor, samples: int) -> torch.Tensor:
        """The mean loss of so many samples, as it goes into the sum: in parts of the first of the group.

        So nothing is multiplied up before the backward pass, in which half precision would overflow.
        """
        self.first, self.samples = self.first or samples, self.samples + samples
        return loss if samples == self.first else loss * (samples / self.first)

    def average(self) -> None:
        """From the sum over all samples to their mean."""
        if self.samples != self.first:
            for group in self.optimizer.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        weight.grad.div_(self.samples / self.first)
        self.first = self.samples = 0

    def drop(self) -> None:
        """Leave out what is summed up."""
        self.first = self.samples = 0
        self.optimizer.zero_grad()


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> Accumulation:
    return Accumulation(spec, optimizer)


def trace(spec: Spec, case: Arrays) -> Arrays:
    kernel = nn.Parameter(torch.tensor(case["kernel"]))
    optimizer = torch.optim.SGD([kernel], lr=spec.RATE)
    accumulation, history = build(spec, optimizer), []
    edges = np.cumsum((0, *spec.SIZES))
    x, y = torch.tensor(case["x"]), torch.tensor(case["y"])
    for _ in range(spec.EPOCHS):
        for index, size in enumerate(spec.SIZES):
            rows = slice(edges[index], edges[index + 1])
            accumulation.weigh(functional.mse_loss(x[rows] @ kernel, y[rows]), size).backward()
            if spec.due(index, len(spec.SIZES)):
                accumulation.average()
                optimizer.step()
                optimizer.zero_grad()
        accumulation.drop()
        history.append(kernel.detach().numpy().copy())
    return {"kernel": np.stack(history)}
