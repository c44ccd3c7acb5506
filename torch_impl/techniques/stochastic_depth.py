"""Stochastic depth. See core/techniques/stochastic_depth.py."""

from __future__ import annotations

import torch

from ...core.technique import Arrays
from ...core.techniques.stochastic_depth import StochasticDepth as Spec
from ..layout import to_canonical, to_native
from .dropout import Dropout

IMAGE = "batch height width channels"


class StochasticDepth(Dropout):
    """Dropout on ones of the shape (batch, 1, ..., 1): one draw for each sample."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p:
            return x
        ones = x.new_ones(len(x), *[1] * (x.ndim - 1))  # (batch, 1, ..., 1)
        return x * super().forward(ones)


def build(spec: Spec) -> StochasticDepth:
    return StochasticDepth(spec.rate)


def trace(spec: Spec, case: Arrays) -> Arrays:
    layer = build(spec)
    layer.shared = ("stochastic_depth", spec.noise())
    x = torch.tensor(to_native(case["x"], IMAGE), requires_grad=True)
    trained = layer.train()(x)
    (gradient,) = torch.autograd.grad(trained, x, torch.tensor(to_native(case["cotangent"], IMAGE)))
    results = {"training output": trained, "evaluation output": layer.eval()(x), "gradient": gradient}
    return {name: to_canonical(tensor.detach().numpy(), IMAGE) for name, tensor in results.items()}
