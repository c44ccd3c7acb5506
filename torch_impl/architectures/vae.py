"""The variational autoencoder. See core/architectures/vae.py."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from ...core.architectures.vae import VAE as Spec
from .. import learning
from ..techniques import negative_elbo


class VAE(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.sampling = Sampling()
        self.decoder = Decoder(spec)
        self.objective = negative_elbo.build(spec.objective())

    def forward(self, images: torch.Tensor, noise: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        mean, log_variance = self.encoder(images)
        latents = self.sampling(mean, log_variance, noise)
        return self.decoder(latents), mean, log_variance

    def terms(self, images: torch.Tensor, noise: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        return self.objective(images, *self(images, noise))


class Encoder(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        size = spec.kernel_size
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(inputs, outputs, size, stride=2, padding=size // 2)
                for inputs, outputs in pairwise((spec.in_channels, *spec.widths))
            ]
        )
        self.flatten = nn.Flatten()
        height, width, channels = spec.smallest
        self.mean = nn.Linear(height * width * channels, spec.latent_dim)
        self.log_variance = nn.Linear(height * width * channels, spec.latent_dim)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = images
        for convolution in self.convolutions:
            x = torch.relu(convolution(x))  # (batch, channels, height, width) -> half as high and wide
        x = self.flatten(x)  # -> (batch, channels)
        return self.mean(x), self.log_variance(x)


class Sampling(nn.Module):
    """z = mu + sigma epsilon: the mean itself in evaluation mode, unless epsilon is given."""

    def forward(
        self, mean: torch.Tensor, log_variance: torch.Tensor, noise: torch.Tensor | None = None
    ) -> torch.Tensor:
        if noise is None:
            if not self.training:
                return mean
            noise = torch.randn_like(mean)
        return mean + (0.5 * log_variance).exp() * noise


class Decoder(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        size = spec.kernel_size
        height, width, channels = spec.smallest
        self.dense = nn.Linear(spec.latent_dim, height * width * channels)
        self.unflatten = nn.Unflatten(1, (channels, height, width))
        self.convolutions = nn.ModuleList(
            [
                nn.ConvTranspose2d(inputs, outputs, size, stride=2, padding=size // 2, output_padding=1)
                for inputs, outputs in pairwise((channels, *reversed(spec.widths)))
            ]
        )
        self.head = nn.ConvTranspose2d(spec.widths[0], spec.in_channels, size, padding=size // 2)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        x = self.unflatten(torch.relu(self.dense(latents)))  # (batch, latents) -> (batch, channels, height, width)
        for convolution in self.convolutions:
            x = torch.relu(convolution(x))  # -> twice as high and wide
        return self.head(x)


class Learner(learning.Learner):
    def step(self, images: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, ...]:
        losses = self.model.terms(images, noise)
        self.optimizers["network"].zero_grad()
        losses[0].backward()
        self.optimizers["network"].step()
        return losses

    def terms(self, images: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.model.terms(images, noise)

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.model.encoder(images)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.model.decoder(latents)


def build(spec: Spec) -> VAE:
    return VAE(spec)
