"""The diffusion model. See core/architectures/diffusion.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ...core.architectures.diffusion import Diffusion as Spec
from ...core.errors import InputError
from ...core.noise import Noise
from .. import learning
from ..embedding import Embedding, angles
from ..techniques import exponential_moving_average, gaussian_diffusion
from . import multi_head_attention


class Diffusion(nn.Module):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.time = TimeEmbedding(spec)
        self.label = Embedding(spec.num_classes + 1, spec.hidden) if spec.num_classes else None
        self.stem = nn.Conv2d(spec.in_channels, spec.widths[0], 3, padding=1)
        self.down = nn.ModuleList([ResidualBlock(spec, *widths) for widths in spec.down()])
        self.downsample = nn.ModuleList([nn.Conv2d(width, width, 3, stride=2, padding=1) for width in spec.widths[:-1]])
        last = spec.widths[-1]
        self.middle = nn.ModuleList([ResidualBlock(spec, last, last), ResidualBlock(spec, last, last)])
        self.attention = Attention(spec)
        self.up = nn.ModuleList([ResidualBlock(spec, *widths) for widths in spec.up()])
        self.upsample = nn.ModuleList([Upsample(width) for width in reversed(spec.widths[1:])])
        self.norm = nn.GroupNorm(spec.groups, spec.widths[0], eps=spec.norm_epsilon)
        self.head = nn.Conv2d(spec.widths[0], spec.in_channels, 3, padding=1)
        self.process = gaussian_diffusion.build(spec.process())

    def forward(self, images: torch.Tensor, times: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        embedding = self.time(times)  # (batch) -> (batch, channels)
        if self.label is not None:
            embedding = embedding + self.label(labels)
        embedding = F.silu(embedding)
        x = self.stem(images)
        skips = [x]
        for index, block in enumerate(self.down):
            x = block(x, embedding)
            skips.append(x)
            level, place = divmod(index + 1, self.spec.blocks)
            if not place and level <= len(self.downsample):
                x = self.downsample[level - 1](x)  # (batch, channels, height, width) -> half as high and wide
                skips.append(x)
        x = self.middle[0](x, embedding)
        x = self.middle[1](self.attention(x), embedding)
        for index, block in enumerate(self.up):
            x = block(torch.cat([x, skips.pop()], dim=1), embedding)
            level, place = divmod(index + 1, self.spec.blocks + 1)
            if not place and level <= len(self.upsample):
                x = self.upsample[level - 1](x)  # -> twice as high and wide
        return self.head(F.silu(self.norm(x)))

    def error(
        self,
        images: torch.Tensor,
        noise: torch.Tensor,
        times: torch.Tensor,
        labels: torch.Tensor | None = None,
        dropped: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The mean squared error of the predicted noise. `dropped` are the labels that are left out."""
        noised = self.process.noised(images, noise, times)
        if labels is not None:
            labels = labels.masked_fill(dropped.bool(), self.spec.num_classes)
        return F.mse_loss(self(noised, times, labels), noise)

    def guided(self, images: torch.Tensor, times: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The noise that a sampler takes: with guidance, of a prediction with the labels and one without."""
        if not self.spec.guidance:
            return self(images, times, labels)
        labels = torch.cat([labels, torch.full_like(labels, self.spec.num_classes)])
        predicted = self(torch.cat([images, images]), torch.cat([times, times]), labels)
        return self.process.guided(*predicted.chunk(2))

    def ddpm(
        self, images: torch.Tensor, noise: torch.Tensor, times: torch.Tensor, labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        return self.process.ddpm(images, self.guided(images, times, labels), noise, times)

    def ddim(
        self,
        images: torch.Tensor,
        noise: torch.Tensor,
        times: torch.Tensor,
        previous: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.process.ddim(images, self.guided(images, times, labels), noise, times, previous)


class TimeEmbedding(nn.Module):
    """Sines and cosines of the time, and two dense layers."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        turned = angles(spec.timesteps, spec.widths[0])
        self.register_buffer("waves", torch.cat([turned.sin(), turned.cos()], dim=1), persistent=False)
        self.expand = nn.Linear(spec.widths[0], spec.hidden)
        self.contract = nn.Linear(spec.hidden, spec.hidden)

    def forward(self, times: torch.Tensor) -> torch.Tensor:
        if (
            not torch.compiler.is_compiling()
            and times.numel()
            and not 0 <= times.min() <= times.max() < len(self.waves)
        ):
            raise InputError(
                f"times lie between {int(times.min())} and {int(times.max())}, and the steps are 0 to "
                f"{len(self.waves) - 1}"
            )
        return self.contract(F.silu(self.expand(self.waves[times])))  # (batch) -> (batch, channels)


class ResidualBlock(nn.Module):
    def __init__(self, spec: Spec, inputs: int, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(spec.groups, inputs, eps=spec.norm_epsilon)
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.embedding = nn.Linear(spec.hidden, width)
        self.norm2 = nn.GroupNorm(spec.groups, width, eps=spec.norm_epsilon)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, width, 1) if inputs != width else None

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.embedding(embedding)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.shortcut is None else self.shortcut(x))


class Attention(nn.Module):
    """Self-attention between the places of a feature map, added to it."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(spec.groups, spec.widths[-1], eps=spec.norm_epsilon)
        self.heads = multi_head_attention.build(spec.attention())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = self.norm(x).flatten(2).transpose(1, 2)  # (batch, channels, height, width) -> (batch, time, channels)
        attended = self.heads(places, places, places)
        return x + attended.transpose(1, 2).reshape(x.shape)


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Learner(learning.Learner):
    def __init__(self, model: Diffusion, noise: Noise | None = None) -> None:
        super().__init__(model, noise)
        self.follow = exponential_moving_average.build(self.spec.average())

    def step(self, *batch: torch.Tensor) -> torch.Tensor:
        optimizer, weights = self.optimizers["network"], self.weights["network"]
        loss = self.model.error(*batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        updates = int(optimizer.state[weights[0]]["step"]) - 1  # before this one
        self.follow(list(self.copies["average"].parameters()), list(self.model.parameters()), updates)
        return loss

    def error(self, *batch: torch.Tensor) -> torch.Tensor:
        return self.copies["average"].error(*batch)

    def ddpm(self, *arrays: torch.Tensor) -> torch.Tensor:
        return self.copies["average"].ddpm(*arrays)

    def ddim(self, *arrays: torch.Tensor) -> torch.Tensor:
        return self.copies["average"].ddim(*arrays)


def build(spec: Spec) -> Diffusion:
    return Diffusion(spec)
