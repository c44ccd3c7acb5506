"""The negative evidence lower bound. See core/techniques/negative_elbo.py."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from ...core.technique import Arrays
from ...core.techniques.negative_elbo import NegativeELBO as Spec


def build(spec: Spec) -> Callable[..., tuple[torch.Tensor, ...]]:
    def loss(
        images: torch.Tensor, decoded: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        if spec.likelihood == "bernoulli":
            terms = F.binary_cross_entropy_with_logits(decoded, images, reduction="none")
        else:
            offset = math.log(spec.std) + 0.5 * math.log(2 * math.pi)
            terms = 0.5 * ((images - decoded) / spec.std) ** 2 + offset
        reconstruction = terms.flatten(1).sum(1).mean()  # (batch, ...) -> (batch) -> ()
        kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1).mean()
        return reconstruction + spec.beta * kl, reconstruction, kl

    return loss


def trace(spec: Spec, case: Arrays) -> Arrays:
    given = [torch.tensor(case[name], requires_grad=True) for name in ("decoded", "mean", "log_variance")]
    losses = build(spec)(torch.tensor(case["images"]), *given)
    found = torch.autograd.grad(losses[0], given)
    names = ("gradient of decoded", "gradient of mean", "gradient of log_variance")
    result = dict(zip(("loss", "reconstruction", "kl"), losses, strict=True)) | dict(zip(names, found, strict=True))
    return {name: tensor.detach().numpy() for name, tensor in result.items()}
