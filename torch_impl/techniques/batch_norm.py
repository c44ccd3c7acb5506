"""Batch normalisation. See core/techniques/batch_norm.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.technique import Arrays
from ...core.techniques.batch_norm import BatchNorm as Spec
from ..layout import to_canonical, to_native

IMAGE = "batch height width channels"


class BiasedBatchNorm1d(nn.BatchNorm1d):
    """`nn.BatchNorm1d` whose running variance takes the variance divided by n."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return biased(self, x) if self.training else super().forward(x)


class BiasedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose running variance takes the variance divided by n."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return biased(self, x) if self.training else super().forward(x)


def biased(layer: nn.BatchNorm1d | nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    normalised = F.batch_norm(x, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)
    with torch.no_grad():
        variance, mean = torch.var_mean(x, dim=[0, *range(2, x.ndim)], correction=0)
        layer.running_mean.lerp_(mean, layer.momentum)
        layer.running_var.lerp_(variance, layer.momentum)
    return normalised


def build(spec: Spec, channels: int, *, image: bool = True) -> nn.BatchNorm1d | nn.BatchNorm2d:
    if spec.running_variance == "unbiased":
        layer = nn.BatchNorm2d if image else nn.BatchNorm1d
    else:
        layer = BiasedBatchNorm2d if image else BiasedBatchNorm1d
    built = layer(channels, eps=spec.epsilon, momentum=spec.momentum)
    if not spec.scale:
        built.register_parameter("weight", None)
    return built


def trace(spec: Spec, case: Arrays) -> Arrays:
    layer = build(spec, len(case["mean"])).to(torch.tensor(case["x"]).dtype)
    state = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}
    layer.load_state_dict(
        {leaf: torch.tensor(case[name]) for leaf, name in state.items() if name in case}, strict=False
    )
    x = torch.tensor(to_native(case["x"], IMAGE), requires_grad=True)
    fixed = layer.eval()(x)
    trained = layer.train()(x)
    cotangent = torch.tensor(to_native(case["cotangent"], IMAGE))
    sources = {"x": x, "gamma": layer.weight, "beta": layer.bias}
    sources = {name: source for name, source in sources.items() if source is not None}
    gradients = dict(zip(sources, torch.autograd.grad(trained, tuple(sources.values()), cotangent), strict=True))
    gradients["x"] = gradients["x"].permute(0, 2, 3, 1)  # (batch, height, width, channels)
    return {
        "training output": to_canonical(trained.detach().numpy(), IMAGE),
        "evaluation output": to_canonical(fixed.detach().numpy(), IMAGE),
        "mean": layer.running_mean.numpy(),
        "variance": layer.running_var.numpy(),
        **{f"gradient of {name}": gradient.numpy() for name, gradient in gradients.items()},
    }
