"""Dropout. See core/techniques/dropout.py."""

from __future__ import annotations

import torch
from torch import nn

from ...core.noise import Noise
from ...core.technique import Arrays
from ...core.techniques.dropout import Dropout as Spec
from ..layout import to_canonical, to_native

IMAGE = "batch height width channels"


class Dropout(nn.Dropout):
    """`nn.Dropout` that takes its mask from shared draws while it has some: the layer's name, and the noise."""

    def __init__(self, rate: float, *, image: bool = False) -> None:
        super().__init__(rate)
        self.image = image
        self.shared: tuple[str, Noise] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.shared is None or not self.training or not self.p:
            return super().forward(x)
        name, noise = self.shared
        batch, *rest = x.shape
        shape = (batch, *rest[1:], rest[0]) if self.image else (batch, *rest)  # channels last, as the mask is drawn
        mask = noise.keep_mask(name, shape, self.p)
        keep = torch.tensor(to_native(mask, IMAGE) if self.image else mask, device=x.device)
        return x * keep / (1 - self.p)


def build(spec: Spec, *, image: bool = False) -> nn.Dropout:
    return Dropout(spec.rate, image=image)


def trace(spec: Spec, case: Arrays) -> Arrays:
    layer = build(spec, image=True)
    layer.shared = ("dropout", spec.noise())
    x = torch.tensor(to_native(case["x"], IMAGE), requires_grad=True)
    trained = layer.train()(x)
    (gradient,) = torch.autograd.grad(trained, x, torch.tensor(to_native(case["cotangent"], IMAGE)))
    results = {"training output": trained, "evaluation output": layer.eval()(x), "gradient": gradient}
    return {name: to_canonical(tensor.detach().numpy(), IMAGE) for name, tensor in results.items()}
