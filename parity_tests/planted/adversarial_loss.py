"""Mistakes in writing the losses of a generator and of its discriminator."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.keras_impl.techniques import adversarial_loss as of_keras
from diglot.torch_impl.techniques import adversarial_loss as of_torch
from keras import ops

from . import TechniqueBug

SMOOTHED, WASSERSTEIN = registry.make("adversarial_loss_smoothed"), registry.make("adversarial_loss_wasserstein")


def with_method(module: Any, name: str, method: Any) -> Any:
    """The losses of a side with another method for the time being."""
    return mock.patch.object(module.AdversarialLoss, name, method)


@partial(TechniqueBug, "both labels smoothed", SMOOTHED, "torch")
def both_labels_smoothed(trace: Any, spec: Any, case: Arrays) -> Arrays:
    def discriminator(self: Any, fakes: Any, reals: Any) -> Any:
        targets = torch.full_like(fakes, spec.smoothing), torch.full_like(reals, 1 - spec.smoothing)
        loss = torch.nn.functional.binary_cross_entropy_with_logits
        return loss(fakes, targets[0]) + loss(reals, targets[1])

    with with_method(of_torch, "discriminator", discriminator):
        return trace(spec, case)


@partial(TechniqueBug, "saturating loss of the generator", SMOOTHED, "keras")
def saturating(trace: Any, spec: Any, case: Arrays) -> Arrays:
    with with_method(of_keras, "generator", lambda self, fakes: -ops.mean(ops.softplus(fakes))):
        return trace(spec, case)


@partial(TechniqueBug, "mean of the two halves for their sum", SMOOTHED, "keras")
def mean_of_halves(trace: Any, spec: Any, case: Arrays) -> Arrays:
    whole = of_keras.AdversarialLoss.discriminator
    with with_method(of_keras, "discriminator", lambda self, fakes, reals: whole(self, fakes, reals) / 2):
        return trace(spec, case)


@partial(TechniqueBug, "penalty of the squared norm", WASSERSTEIN, "torch")
def squared_norm(trace: Any, spec: Any, case: Arrays) -> Arrays:
    def penalty(self: Any, critic: Any, images: Any, fakes: Any, shares: Any) -> Any:
        mixed = (shares[:, None] * images + (1 - shares[:, None]) * fakes).detach().requires_grad_()
        (slopes,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        return spec.penalty * ((slopes**2).sum(1) - 1).pow(2).mean()

    with with_method(of_torch, "penalty", penalty):
        return trace(spec, case)


@partial(TechniqueBug, "penalty of one batch norm for the samples' own", WASSERSTEIN, "torch")
def norm_of_the_batch(trace: Any, spec: Any, case: Arrays) -> Arrays:
    def penalty(self: Any, critic: Any, images: Any, fakes: Any, shares: Any) -> Any:
        mixed = (shares[:, None] * images + (1 - shares[:, None]) * fakes).detach().requires_grad_()
        (slopes,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        return spec.penalty * (slopes.norm() - 1) ** 2

    with with_method(of_torch, "penalty", penalty):
        return trace(spec, case)


@partial(TechniqueBug, "penalty without a gradient to the critic", WASSERSTEIN, "keras")
def detached(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return {**trace(spec, case), **{f"gradient of {name}": np.zeros_like(case[name]) for name in ("kernel", "head")}}


@partial(TechniqueBug, "penalty on the images themselves", WASSERSTEIN, "keras")
def on_the_images(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec, {**case, "shares": np.ones_like(case["shares"])})


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
