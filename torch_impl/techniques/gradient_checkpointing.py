"""Gradient checkpointing. See core/techniques/gradient_checkpointing.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...core.technique import Arrays
from ...core.techniques.gradient_checkpointing import GradientCheckpointing as Spec
from ..recompute import recomputed


class Counted(nn.Linear):
    """A dense layer with tanh that counts its calls."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.tanh(super().forward(x))


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    def chain(layers: Sequence[nn.Module], x: torch.Tensor) -> torch.Tensor:
        for segment in spec.cut(len(layers)):
            module = nn.Sequential(*layers[segment])
            x = recomputed(module, module, [x])
        return x

    return chain


def trace(spec: Spec, case: Arrays) -> Arrays:
    layers = [Counted(spec.WIDTH, spec.WIDTH, bias=False) for _ in range(spec.LAYERS)]
    for index, layer in enumerate(layers):
        layer.weight = nn.Parameter(torch.tensor(case[f"kernel {index}"].T.copy()))  # (in, out) -> (out, in)
    optimizer = torch.optim.SGD([layer.weight for layer in layers], lr=spec.RATE)
    x, y, losses = torch.tensor(case["x"]), torch.tensor(case["y"]), []
    for _ in range(spec.STEPS):
        optimizer.zero_grad()
        loss = functional.mse_loss(build(spec)(layers, x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach().numpy())
    found = {f"kernel {index}": layer.weight.detach().numpy().T for index, layer in enumerate(layers)}
    return {"loss": np.array(losses), **found, "times computed": np.array([layer.calls for layer in layers])}
