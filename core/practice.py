"""A small network on which optimizers are tried. Its gradients are by hand, so that the rule needs no autograd.

A convolution (2 x 2, no padding), tanh, a flattening with channels last, a dense layer, and the softmax cross-entropy,
mean over the batch. The classes are those that a random linear map finds in the images, so there is something to learn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .spec import Weight

if TYPE_CHECKING:
    from .technique import Arrays

STEPS, BATCHES, BATCH, SIDE, CHANNELS, FILTERS, CLASSES = 200, 5, 8, 4, 2, 6, 5
POSITIONS = SIDE - 1

WEIGHTS = (
    Weight("conv.kernel", "height width in out", (2, 2, CHANNELS, FILTERS)),
    Weight("conv.bias", "out", (FILTERS,)),
    Weight(
        "dense.kernel",
        "(height width channels) out",
        (POSITIONS * POSITIONS * FILTERS, CLASSES),
        factors=(("height", POSITIONS), ("width", POSITIONS), ("channels", FILTERS)),
    ),
    Weight("dense.bias", "out", (CLASSES,)),
)

Update = Callable[[str, NDArray[Any], NDArray[Any], int, float], NDArray[Any]]


def draw(rng: np.random.Generator, rates: NDArray[Any]) -> Arrays:
    """The batches, the initial weights `practice NAME`, and a learning rate for each step."""
    images = rng.standard_normal((BATCHES, BATCH, SIDE, SIDE, CHANNELS))
    teacher = rng.standard_normal((SIDE * SIDE * CHANNELS, CLASSES))
    case: Arrays = {
        "practice images": images,
        "practice labels": (images.reshape(BATCHES, BATCH, -1) @ teacher).argmax(-1),
        "practice rates": rates,
    }
    for weight in WEIGHTS:
        deviation = weight.fans()[0] ** -0.5 if weight.role == "kernel" else 0.1
        case[f"practice {weight.name}"] = deviation * rng.standard_normal(weight.shape)
    return case


def batches(case: Arrays) -> list[tuple[NDArray[Any], NDArray[Any], float]]:
    """The images, labels and rate of every step."""
    images, labels = case["practice images"], case["practice labels"]
    return [(images[n % BATCHES], labels[n % BATCHES], float(rate)) for n, rate in enumerate(case["practice rates"])]


def train(case: Arrays, update: Update) -> tuple[Arrays, Arrays]:
    """Every loss as `practice loss`, and the last weights by name; `update` gives each weight after a step."""
    weights = {weight.name: case[f"practice {weight.name}"] for weight in WEIGHTS}
    losses = []
    for step, (images, labels, rate) in enumerate(batches(case), 1):
        loss, gradients = loss_and_gradients(weights, images, labels)
        losses.append(loss)
        weights = {name: update(name, weight, gradients[name], step, rate) for name, weight in weights.items()}
    return {"practice loss": np.array(losses)}, weights


def loss_and_gradients(weights: Arrays, images: NDArray[Any], labels: NDArray[Any]) -> tuple[float, Arrays]:
    """The loss of a batch, and its gradient for every weight."""
    kernel, rows = weights["conv.kernel"], np.arange(len(images))
    corners = [images[:, i : i + POSITIONS, j : j + POSITIONS] for i in range(2) for j in range(2)]
    patches = np.concatenate(corners, axis=-1).reshape(-1, 4 * CHANNELS)  # (batch height width) (i j in)
    hidden = np.tanh(patches @ kernel.reshape(-1, FILTERS) + weights["conv.bias"])
    flat = hidden.reshape(len(images), -1)  # batch (height width channels)
    logits = flat @ weights["dense.kernel"] + weights["dense.bias"]
    shifted = logits - logits.max(axis=-1, keepdims=True)
    chances = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    loss = float(np.mean(np.log(np.exp(shifted).sum(axis=-1)) - shifted[rows, labels]))

    back = chances.copy()
    back[rows, labels] -= 1.0
    back /= len(images)
    inner = (back @ weights["dense.kernel"].T).reshape(hidden.shape) * (1 - hidden**2)
    return loss, {
        "conv.kernel": (patches.T @ inner).reshape(kernel.shape),
        "conv.bias": inner.sum(axis=0),
        "dense.kernel": flat.T @ back,
        "dense.bias": back.sum(axis=0),
    }
