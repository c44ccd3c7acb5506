"""The generative adversarial network. See core/architectures/gan.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from ...core.architectures.gan import GAN as Spec
from ...core.techniques.dropout import Dropout
from .. import learning
from ..techniques import adversarial_loss, batch_norm, dropout


class GAN(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.generator = Generator(spec)
        self.discriminator = Discriminator(spec)
        self.objective = adversarial_loss.build(spec.objective())

    def forward(self, latents: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        generated = self.generator(latents)
        return *self.judged(generated, images), generated

    def judged(self, fakes: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.discriminator(torch.cat([fakes, images]))
        return logits[: len(fakes)], logits[len(fakes) :]

    def discriminator_losses(
        self, images: torch.Tensor, latents: torch.Tensor, shares: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        with torch.no_grad(), still(self.generator):
            fakes = self.generator(latents)
        loss = self.objective.discriminator(*self.judged(fakes, images))
        if shares is None:
            return (loss,)
        return loss, self.objective.penalty(self.discriminator, images, fakes, shares)

    def generator_loss(self, latents: torch.Tensor) -> torch.Tensor:
        return self.objective.generator(self.discriminator(self.generator(latents)))


class Generator(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        size, widths = spec.kernel_size, spec.generator_widths
        height, width, channels = spec.smallest
        self.dense = nn.Linear(spec.latent_dim, height * width * channels, bias=False)
        self.norm = batch_norm.build(spec.norm(), height * width * channels, image=False)
        self.unflatten = nn.Unflatten(1, (channels, height, width))
        self.convolutions = nn.ModuleList(
            [
                nn.ConvTranspose2d(*pair, size, stride, padding=size // 2, output_padding=stride - 1, bias=False)
                for pair, stride in zip(pairwise(widths), spec.strides, strict=True)
            ]
        )
        self.norms = nn.ModuleList([batch_norm.build(spec.norm(), width) for width in widths[1:]])
        self.head = nn.ConvTranspose2d(
            widths[-1], spec.in_channels, size, stride=2, padding=size // 2, output_padding=1
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.dense(latents)))
        x = self.unflatten(x)  # (batch, channels) -> (batch, channels, height, width)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = torch.relu(norm(convolution(x)))  # -> as high and wide at first, and then twice
        return torch.tanh(self.head(x))  # -> twice as high and wide


class Discriminator(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        size, height, width, channels = spec.kernel_size, *spec.last
        self.negative_slope = spec.negative_slope
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(*pair, size, stride=2, padding=size // 2)
                for pair in pairwise((spec.in_channels, *spec.discriminator_widths))
            ]
        )
        rule = Dropout(rate=spec.dropout_rate)
        self.dropouts = nn.ModuleList([dropout.build(rule, image=True) for _ in spec.discriminator_widths])
        self.flatten = nn.Flatten()
        self.head = nn.Linear(height * width * channels, 1, bias=spec.form != "wasserstein")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images
        for convolution, drop in zip(self.convolutions, self.dropouts, strict=True):
            x = drop(F.leaky_relu(convolution(x), self.negative_slope))  # -> half as high and wide
        return self.head(self.flatten(x))  # (batch, channels, height, width) -> (batch, 1)


@contextlib.contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """Batch normalisation by the batch that leaves the running statistics where they are."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


class Learner(learning.Learner):
    def step_discriminator(
        self, images: torch.Tensor, latents: torch.Tensor, shares: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        losses = self.model.discriminator_losses(images, latents, shares)
        self.optimizers["discriminator"].zero_grad()
        sum(losses).backward()
        self.optimizers["discriminator"].step()
        return losses

    def step_generator(self, latents: torch.Tensor) -> torch.Tensor:
        loss = self.model.generator_loss(latents)
        self.optimizers["generator"].zero_grad()
        loss.backward()
        self.optimizers["generator"].step()
        return loss

    def generate(self, latents: torch.Tensor) -> torch.Tensor:
        return self.model.generator(latents)

    def judge(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.discriminator(images)


def build(spec: Spec) -> GAN:
    return GAN(spec)
