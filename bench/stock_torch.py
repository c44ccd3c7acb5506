"""Training steps as tutorials publish them, of PyTorch's stock layers: what the siblings' steps are held against.

Each function takes a spec and gives the calls of one step, by verb: a function of NumPy arrays in PyTorch's layout.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

Step = Callable[[dict[str, Any]], float]


def tensors(arrays: dict[str, Any]) -> dict[str, Any]:
    return {
        name: torch.from_numpy(array if array.dtype.kind == "i" else array.astype(np.float32))
        for name, array in arrays.items()
    }


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def vae(spec: Any) -> dict[str, Step]:
    height, width, channels = spec.smallest
    flat, latents = height * width * channels, spec.latent_dim
    encoder = nn.Sequential(
        *(
            layer
            for pair in pairwise((spec.in_channels, *spec.widths))
            for layer in (nn.Conv2d(*pair, 3, stride=2, padding=1), nn.ReLU())
        ),
        nn.Flatten(),
        nn.Linear(flat, 2 * latents),
    )
    decoder = nn.Sequential(
        nn.Linear(latents, flat),
        nn.ReLU(),
        nn.Unflatten(1, (channels, height, width)),
        *(
            layer
            for pair in pairwise((channels, *reversed(spec.widths)))
            for layer in (nn.ConvTranspose2d(*pair, 3, stride=2, padding=1, output_padding=1), nn.ReLU())
        ),
        nn.ConvTranspose2d(spec.widths[0], spec.in_channels, 3, padding=1),
    )
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=spec.learning_rate)

    def step(arrays: dict[str, Any]) -> float:
        images = tensors(arrays)["images"]
        mean, log_variance = encoder(images).chunk(2, dim=1)
        decoded = decoder(mean + torch.randn_like(mean) * (0.5 * log_variance).exp())
        reconstruction = F.binary_cross_entropy_with_logits(decoded, images, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        return descend(optimizer, (reconstruction + kl) / len(images))

    return {"step": step}


def gan(spec: Any) -> dict[str, Step]:
    height, width, channels = spec.smallest
    size, widths = spec.kernel_size, spec.generator_widths
    blocks: list[nn.Module] = []
    for (inputs, outputs), stride in zip(pairwise(widths), spec.strides, strict=True):
        blocks += [
            nn.ConvTranspose2d(inputs, outputs, size, stride, size // 2, output_padding=stride - 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    generator = nn.Sequential(
        nn.Linear(spec.latent_dim, height * width * channels, bias=False),
        nn.BatchNorm1d(height * width * channels),
        nn.ReLU(),
        nn.Unflatten(1, (channels, height, width)),
        *blocks,
        nn.ConvTranspose2d(widths[-1], spec.in_channels, size, 2, size // 2, output_padding=1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        *(
            layer
            for pair in pairwise((spec.in_channels, *spec.discriminator_widths))
            for layer in (nn.Conv2d(*pair, size, 2, size // 2), nn.LeakyReLU(0.2), nn.Dropout(spec.dropout_rate))
        ),
        nn.Flatten(),
        nn.LazyLinear(1),
    )
    discriminator(torch.zeros(1, spec.in_channels, spec.image_size, spec.image_size))
    options = {"betas": (spec.beta_1, spec.beta_2)}
    first = torch.optim.Adam(discriminator.parameters(), lr=spec.discriminator_rate, **options)
    second = torch.optim.Adam(generator.parameters(), lr=spec.generator_rate, **options)
    loss = nn.BCEWithLogitsLoss()

    def step_discriminator(arrays: dict[str, Any]) -> float:
        images = tensors(arrays)["images"]
        fakes = generator(torch.randn(len(images), spec.latent_dim)).detach()
        real, fake = discriminator(images), discriminator(fakes)
        return descend(first, loss(real, torch.ones_like(real)) + loss(fake, torch.zeros_like(fake)))

    def step_generator(arrays: dict[str, Any]) -> float:
        judged = discriminator(generator(torch.randn(len(arrays["latents"]), spec.latent_dim)))
        return descend(second, loss(judged, torch.ones_like(judged)))

    return {"step_discriminator": step_discriminator, "step_generator": step_generator}


class Block(nn.Module):
    def __init__(self, spec: Any, inputs: int, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(spec.groups, inputs), nn.SiLU(), nn.Conv2d(inputs, width, 3, padding=1))
        self.embedding = nn.Linear(spec.hidden, width)
        self.second = nn.Sequential(nn.GroupNorm(spec.groups, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = nn.Conv2d(inputs, width, 1) if inputs != width else nn.Identity()

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.second(self.first(x) + self.embedding(embedding)[:, :, None, None])


class UNet(nn.Module):
    def __init__(self, spec: Any) -> None:
        super().__init__()
        first, last = spec.widths[0], spec.widths[-1]
        self.spec, self.size = spec, first
        self.time = nn.Sequential(nn.Linear(first, spec.hidden), nn.SiLU(), nn.Linear(spec.hidden, spec.hidden))
        self.label = nn.Embedding(spec.num_classes + 1, spec.hidden)
        self.stem = nn.Conv2d(spec.in_channels, first, 3, padding=1)
        self.down = nn.ModuleList(Block(spec, *pair) for pair in spec.down())
        self.smaller = nn.ModuleList(nn.Conv2d(width, width, 3, stride=2, padding=1) for width in spec.widths[:-1])
        self.middle = nn.ModuleList([Block(spec, last, last), Block(spec, last, last)])
        self.norm = nn.GroupNorm(spec.groups, last)
        self.attention = nn.MultiheadAttention(last, spec.num_heads, batch_first=True)
        self.up = nn.ModuleList(Block(spec, *pair) for pair in spec.up())
        self.larger = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in reversed(spec.widths[1:]))
        self.head = nn.Sequential(
            nn.GroupNorm(spec.groups, first), nn.SiLU(), nn.Conv2d(first, spec.in_channels, 3, padding=1)
        )

    def forward(self, x: torch.Tensor, times: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        rates = torch.exp(-np.log(10000) * torch.arange(self.size // 2) / (self.size // 2))
        turned = times[:, None] * rates
        embedding = F.silu(self.time(torch.cat([turned.sin(), turned.cos()], dim=1)) + self.label(labels))
        x = self.stem(x)
        skips = [x]
        for index, block in enumerate(self.down):
            x = block(x, embedding)
            skips.append(x)
            level, place = divmod(index + 1, self.spec.blocks)
            if not place and level <= len(self.smaller):
                x = self.smaller[level - 1](x)
                skips.append(x)
        x = self.middle[0](x, embedding)
        places = self.norm(x).flatten(2).transpose(1, 2)
        x = x + self.attention(places, places, places, need_weights=False)[0].transpose(1, 2).reshape(x.shape)
        x = self.middle[1](x, embedding)
        for index, block in enumerate(self.up):
            x = block(torch.cat([x, skips.pop()], dim=1), embedding)
            level, place = divmod(index + 1, self.spec.blocks + 1)
            if not place and level <= len(self.larger):
                x = self.larger[level - 1](F.interpolate(x, scale_factor=2))
        return self.head(x)


def diffusion(spec: Any) -> dict[str, Step]:
    network = UNet(spec)
    average = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, spec.timesteps), dim=0)

    def step(arrays: dict[str, Any]) -> float:
        given = tensors(arrays)
        images, labels = given["images"], given["labels"]
        times, noise = torch.randint(spec.timesteps, (len(images),)), torch.randn_like(images)
        share = kept[times][:, None, None, None]
        labels = torch.where(torch.rand(len(labels)) < spec.label_dropout, spec.num_classes, labels)
        predicted = network(share.sqrt() * images + (1 - share).sqrt() * noise, times, labels)
        loss = descend(optimizer, F.mse_loss(predicted, noise))
        with torch.no_grad():
            for old, new in zip(average.parameters(), network.parameters(), strict=True):
                old.lerp_(new, 1 - spec.ema_decay)
        return loss

    return {"step": step}


def dense(*widths: int, activation: Any = nn.ReLU) -> nn.Sequential:
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), activation())]
    return nn.Sequential(*layers[:-1])


def dqn(spec: Any) -> dict[str, Step]:
    network = dense(spec.observation_size, *spec.widths, spec.actions)
    target = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)

    def step(arrays: dict[str, Any]) -> float:
        given = tensors(arrays)
        values = network(given["observations"]).gather(1, given["actions"].long()[:, None]).squeeze(1)
        with torch.no_grad():
            following = target(given["next_observations"])
            best = network(given["next_observations"]).argmax(1, keepdim=True)
            wanted = given["rewards"] + spec.discount * (1 - given["terminated"]) * following.gather(1, best).squeeze(1)
        return descend(optimizer, F.smooth_l1_loss(values, wanted))

    return {"step": step}


def policy_gradient(spec: Any) -> dict[str, Step]:
    policy, critic = (dense(spec.observation_size, *spec.widths, outputs) for outputs in (spec.actions, 1))
    optimizer = torch.optim.Adam([*policy.parameters(), *critic.parameters()], lr=1e-3)

    def step(arrays: dict[str, Any]) -> float:
        given = tensors(arrays)
        values = critic(given["observations"]).squeeze(-1)
        with torch.no_grad():
            following = critic(given["next_observations"]).squeeze(-1)
            errors = given["rewards"] + spec.discount * (1 - given["terminated"]) * following - values
            gained, running = torch.zeros_like(errors), torch.zeros(errors.shape[1])
            for time in reversed(range(len(errors))):
                running = errors[time] + spec.discount * spec.gae_lambda * (1 - given["ended"][time]) * running
                gained[time] = running
            returns = gained + values
        chances = torch.distributions.Categorical(logits=policy(given["observations"]))
        loss = -(chances.log_prob(given["actions"]) * gained).mean() + 0.5 * F.mse_loss(values, returns)
        loss = loss - 0.01 * chances.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*policy.parameters(), *critic.parameters()], 0.5)
        optimizer.step()
        return float(loss.detach())

    return {"step": step}


def maml(spec: Any) -> dict[str, Step]:
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[spec.activation]
    network = dense(spec.in_features, *spec.hidden_dims, spec.out_features, activation=activation)
    optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)

    def step(arrays: dict[str, Any]) -> float:
        given = tensors(arrays)
        total = torch.zeros(())
        for inputs, targets, queries, wanted in zip(*given.values(), strict=True):
            weights = dict(network.named_parameters())
            for _ in range(spec.inner_steps):
                loss = F.mse_loss(torch.func.functional_call(network, weights, inputs), targets)
                slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
                pairs = zip(weights.items(), slopes, strict=True)
                weights = {name: weight - spec.inner_rate * slope for (name, weight), slope in pairs}
            total = total + F.mse_loss(torch.func.functional_call(network, weights, queries), wanted)
        return descend(optimizer, total / len(given["query_inputs"]))

    return {"step": step}
