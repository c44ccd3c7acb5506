"""Handwritten digits: scikit-learn's 1797 images of 8 by 8 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import spec
from .core.errors import SpecError, nearest
from .core.noise import generator
from .core.recipe import Recipe
from .core.technique import Arrays
from .demo_pair import RealPair, Result, need_data, same_recipe

BATCH = 32
HELD_OUT = 360
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"input_shape": (8, 8, 1), "hidden_dims": (64, 32), "batch_norm": True, "weight_init": "he"},
    "resnet": {
        "num_blocks": (1, 1, 1, 1),
        "width": 8,
        "stem": "cifar",
        "image_size": 8,
        "in_channels": 1,
        "num_classes": 10,
    },
}
EPOCHS = {"mlp": 12, "resnet": 8}
RATES = {"mlp": 0.05, "resnet": 0.02}


def digits(
    network: str, *, seed: int = 0, epochs: int | None = None, recipes: Mapping[str, Recipe] | None = None
) -> Result:
    """`mlp` or `resnet` on the digits, a part of them held out; `recipes` says how each side trains.

    Raises SpecError for another network, and DiglotError where scikit-learn is not installed.
    """
    if network not in NETWORKS:
        hint = nearest(network, NETWORKS) or f"; there are {' and '.join(NETWORKS)}"
        raise SpecError(f"the digits have no network {network!r}{hint}")
    need_data()
    from sklearn.datasets import load_digits

    data, chosen = load_digits(), spec(network, **NETWORKS[network])
    arrays = {
        chosen.inputs()[0].name: data.images[..., None] / 16.0,  # (batch, height, width, channels), in 0..1
        chosen.targets().name: data.target.astype(np.int64),  # (batch)
    }
    order = generator(seed, "held-out digits").permutation(len(data.target))
    held_out, training = order[:HELD_OUT], order[HELD_OUT:]
    whole = len(training) // BATCH * BATCH

    def rows(places: NDArray[np.int64]) -> Arrays:
        return {name: array[places] for name, array in arrays.items()}

    batches = [
        rows(places)
        for epoch in range(epochs or EPOCHS[network])
        for places in generator(seed, "order of digits", epoch).permutation(training)[:whole].reshape(-1, BATCH)
    ]
    given = recipes or same_recipe("sgd", learning_rate=RATES[network], momentum=0.9)
    return Result(**RealPair(chosen, seed, given, rows(held_out)).result(batches))
