"""Gaussian diffusion. See core/techniques/gaussian_diffusion.py."""

from __future__ import annotations

import math

import torch

from ...core.technique import Arrays
from ...core.techniques.gaussian_diffusion import GaussianDiffusion as Spec


class Process:
    """The tables are float64, and what is taken from them has the precision of the images."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.betas = betas(spec)
        self.alpha_bars = torch.cumprod(1 - self.betas, dim=0)
        self.reached = torch.cat([torch.ones(1, dtype=torch.float64), self.alpha_bars])  # from time -1 on
        before = self.reached[:-1]
        self.start = before.sqrt() * self.betas / (1 - self.alpha_bars)
        self.current = (1 - self.betas).sqrt() * (1 - before) / (1 - self.alpha_bars)
        self.posterior = self.betas * (1 - before) / (1 - self.alpha_bars)
        variances = self.posterior if spec.variance == "posterior" else self.betas
        self.deviations = variances.sqrt() * (torch.arange(spec.timesteps) > 0)  # the last step adds no noise
        self.times = torch.arange(1, spec.sampling_steps + 1) * spec.timesteps // spec.sampling_steps - 1

    def noised(self, images: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        kept = at(self.alpha_bars, times, images)
        return kept.sqrt() * images + (1 - kept).sqrt() * noise

    def guided(self, conditional: torch.Tensor, unconditional: torch.Tensor) -> torch.Tensor:
        return (1 + self.spec.guidance) * conditional - self.spec.guidance * unconditional

    def ddpm(
        self, images: torch.Tensor, predicted: torch.Tensor, noise: torch.Tensor, times: torch.Tensor
    ) -> torch.Tensor:
        image, _ = self.parted(images, predicted, times)
        mean = at(self.start, times, images) * image + at(self.current, times, images) * images
        return mean + at(self.deviations, times, images) * noise

    def ddim(
        self,
        images: torch.Tensor,
        predicted: torch.Tensor,
        noise: torch.Tensor,
        times: torch.Tensor,
        previous: torch.Tensor,
    ) -> torch.Tensor:
        image, direction = self.parted(images, predicted, times)
        kept, earlier = at(self.alpha_bars, times, images), at(self.reached, previous + 1, images)
        sigma = self.spec.eta * ((1 - earlier) / (1 - kept)).sqrt() * (1 - kept / earlier).sqrt()
        rest = (1 - earlier - sigma**2).clamp(min=0).sqrt()
        return earlier.sqrt() * image + rest * direction + sigma * noise

    def parted(
        self, images: torch.Tensor, predicted: torch.Tensor, times: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The image that the predicted noise leaves, and the noise that the image leaves."""
        kept = at(self.alpha_bars, times, images)
        image = (images - (1 - kept).sqrt() * predicted) / kept.sqrt()
        if not self.spec.clip_images:
            return image, predicted
        image = image.clamp(-1, 1)
        return image, (images - kept.sqrt() * image) / (1 - kept).sqrt()


def betas(spec: Spec) -> torch.Tensor:
    """The variance of each step of the forward process."""
    if spec.schedule == "linear":
        return torch.linspace(spec.beta_start, spec.beta_end, spec.timesteps, dtype=torch.float64)
    shares = torch.arange(spec.timesteps + 1, dtype=torch.float64) / spec.timesteps
    kept = torch.cos((shares + spec.offset) / (1 + spec.offset) * math.pi / 2) ** 2
    return (1 - kept[1:] / kept[:-1]).clamp(max=spec.max_beta)


def at(values: torch.Tensor, times: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """One value for each image, (batch, 1, ...)."""
    chosen = values.to(times.device)[times].to(images.dtype)
    return chosen.reshape(-1, *(1,) * (images.dim() - 1))


def build(spec: Spec) -> Process:
    return Process(spec)


def trace(spec: Spec, case: Arrays) -> Arrays:
    process, given = build(spec), {name: torch.tensor(array) for name, array in case.items()}
    names = ("images", "noise", "predicted", "unconditional", "times", "previous")
    images, noise, predicted, unconditional, times, previous = (given[name] for name in names)
    result = {
        "betas": process.betas,
        "alpha_bars": process.alpha_bars,
        "posterior mean of the image": process.start,
        "posterior mean of the noised image": process.current,
        "posterior variances": process.posterior,
        "sampled times": process.times,
        "noised": process.noised(images, noise, times),
        "guided": process.guided(predicted, unconditional),
        "ddpm": process.ddpm(images, predicted, noise, times),
        "ddim": process.ddim(images, predicted, noise, times, previous),
    }
    return {name: tensor.numpy() for name, tensor in result.items()}
