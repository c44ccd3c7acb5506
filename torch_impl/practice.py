"""The small network on which optimizers are tried, in PyTorch's layers and layouts. See core/practice.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..core import practice
from ..core.technique import Arrays, Optimizer
from .layout import path, to_canonical, to_native


class Network(nn.Module):
    def __init__(self, case: Arrays) -> None:
        super().__init__()
        dtype = torch.from_numpy(case["practice images"]).dtype
        self.conv = nn.Conv2d(practice.CHANNELS, practice.FILTERS, 2, dtype=dtype)
        self.dense = nn.Linear(practice.WEIGHTS[2].shape[0], practice.CLASSES, dtype=dtype)
        for weight, parameter in zip(practice.WEIGHTS, self.weights(), strict=True):
            array = to_native(case[f"practice {weight.name}"], weight.axes, weight.factors)
            parameter.data.copy_(torch.from_numpy(array))

    def weights(self) -> list[nn.Parameter]:
        return [self.get_parameter(path(weight)) for weight in practice.WEIGHTS]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.conv(images))  # batch channels height width
        logits: torch.Tensor = self.dense(hidden.flatten(1))
        return logits


def practise(build: Callable[..., Any], slots: Callable[..., Any], spec: Optimizer, case: Arrays) -> Arrays:
    """Every loss, and every weight and slot after the last step. `build` and `slots` are those of the technique."""
    network, losses = Network(case), []
    weights = network.weights()
    optimizer = build(spec, weights)
    for images, labels, rate in practice.batches(case):
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("multiplier", 1.0)
        images = torch.from_numpy(to_native(images, "batch height width channels"))
        loss = functional.cross_entropy(network(images), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    result = {"practice loss": torch.stack(losses).numpy()}
    for weight, parameter in zip(practice.WEIGHTS, weights, strict=True):
        result[f"practice {weight.name}"] = to_canonical(parameter.detach().numpy(), weight.axes, weight.factors)
    kept = slots(optimizer, weights)
    for slot, tensors in kept.items():
        for weight, tensor in zip(practice.WEIGHTS, tensors, strict=True):
            if tensor is not None:
                axes = spec.slot_axes(slot, weight.axes)
                result[f"practice {slot} of {weight.name}"] = to_canonical(tensor.numpy(), axes, weight.factors)
    return result
