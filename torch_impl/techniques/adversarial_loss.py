"""The losses of a generator and of its discriminator. See core/techniques/adversarial_loss.py."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from ...core.technique import Arrays
from ...core.techniques.adversarial_loss import AdversarialLoss as Spec


class AdversarialLoss:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def generator(self, fake_logits: torch.Tensor) -> torch.Tensor:
        if self.spec.form == "wasserstein":
            return -fake_logits.mean()
        return F.softplus(-fake_logits).mean()

    def discriminator(self, fake_logits: torch.Tensor, real_logits: torch.Tensor) -> torch.Tensor:
        if self.spec.form == "wasserstein":
            return fake_logits.mean() - real_logits.mean()
        reals = F.softplus(real_logits) - (1 - self.spec.smoothing) * real_logits
        return reals.mean() + F.softplus(fake_logits).mean()

    def penalty(
        self,
        critic: Callable[[torch.Tensor], torch.Tensor],
        images: torch.Tensor,
        fakes: torch.Tensor,
        shares: torch.Tensor,
    ) -> torch.Tensor:
        shares = shares.reshape(-1, *[1] * (images.ndim - 1))  # (batch) -> (batch, 1, ...)
        mixed = (shares * images + (1 - shares) * fakes).detach().requires_grad_()
        (slopes,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        norms = slopes.flatten(1).norm(dim=1)  # (batch, ...) -> (batch)
        return self.spec.penalty * ((norms - 1) ** 2).mean()


def build(spec: Spec) -> AdversarialLoss:
    return AdversarialLoss(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    given = {name: torch.tensor(array, requires_grad=True) for name, array in case.items()}
    fakes, reals, weights = given["fake_logits"], given["real_logits"], (given["kernel"], given["head"])
    losses = build(spec)
    generator, discriminator = losses.generator(fakes), losses.discriminator(fakes, reals)
    penalty = losses.penalty(
        lambda x: torch.tanh(x @ weights[0]) @ weights[1], given["images"], given["fakes"], given["shares"]
    )
    names = ("gradient of fake_logits", "gradient of real_logits", "gradient of kernel", "gradient of head")
    found = (*torch.autograd.grad(discriminator, (fakes, reals)), *torch.autograd.grad(penalty, weights))
    result = {
        "generator loss": generator,
        "discriminator loss": discriminator,
        "gradient of fake_logits to the generator": torch.autograd.grad(generator, fakes)[0],
        "penalty": penalty,
        **dict(zip(names, found, strict=True)),
    }
    return {name: tensor.detach().numpy() for name, tensor in result.items()}
