"""Trainings with many techniques at once, on digits, for both sides; also as a program, to be killed and run again."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
from diglot.core import floor
from diglot.core.data import Data
from diglot.core.history import History
from diglot.core.noise import generator
from diglot.core.recipe import Recipe
from diglot.core.technique import Arrays
from sklearn.datasets import load_digits

import diglot

EPOCHS, BATCH, WATCH = 6, 32, 3
TRAINED, HELD_OUT = 290, 100
IDLE = ("flow/update", "flow/zeros/hidden.0.dense.bias", "flow/zeros/hidden.1.dense.bias")


def technique(name: str, **fields: Any) -> Any:
    """A technique whose numbers both frameworks hold exactly."""
    return diglot.spec(name, **fields).rounded()


def everything(**others: Any) -> Recipe:
    """Every technique that a recipe has a place for; the rate follows a schedule."""
    techniques = {
        "optimizer": technique(
            "sgd", momentum=0.75, nesterov=True, weight_decay=0.01, decay="decoupled", velocity="update"
        ),
        "loss": technique("cross_entropy", label_smoothing=0.125, targets="probabilities"),
        "schedule": technique("warmup_cosine", learning_rate=0.25, warmup_steps=3, total_steps=20),
        "clip": technique("clip_by_global_norm", max_norm=0.75),
        "groups": technique("parameter_groups"),
        "unfreezing": technique("progressive_unfreezing", patterns=("head.*", "*"), epochs=(1,)),
        "accumulation": technique("gradient_accumulation", micro_batches=2),
        "precision": technique("mixed_precision", growth_interval=4),
        "average": technique("exponential_moving_average", decay=0.75, warmup=True),
        "stopping": technique("early_stopping", patience=2, monitor="val_loss"),
        "augmentation": technique(
            "augment", crop_size=8, padding=1, scale=0.0625, mean=(0.25,), deviation=(0.5,), horizontal_flip=False
        ),
        "mixing": technique("mixup", num_classes=10),
        "curriculum": technique("curriculum", start=0.5, step=0.125),
        "flow": technique("gradient_flow"),
        "dead": technique("dead_units"),
    }
    return Recipe(**{**techniques, **others})


def adaptive() -> Recipe:
    """Other techniques in the same places; the rate falls on a plateau."""
    return everything(
        optimizer=technique("adamw", learning_rate=0.0078125, weight_decay=0.0625, epsilon=1e-5),
        schedule=None,
        plateau=technique("reduce_on_plateau", monitor="loss", patience=0, threshold=0.25, factor=0.5),
        clip=technique("adaptive_gradient_clipping"),
        unfreezing=None,
        mixing=technique("cutmix", num_classes=10),
        stopping=None,
    )


RECIPES = {"everything": everything, "adaptive": adaptive}


def moved(arrays: Arrays, seed: int | None, unit: str) -> Arrays:
    """The arrays moved by a unit in the last place of a precision; None leaves them as they are."""
    if seed is None:
        return arrays
    if unit != "bfloat16":
        return floor.moved(arrays, seed, unit)
    near = floor.moved(arrays, seed, "float32")
    return {name: array + 2.0**16 * (near[name] - array) for name, array in arrays.items()}  # which has 16 bits less


def data(move: int | None = None, unit: str = "float64") -> Data:
    """Digits, (samples, height, width, channels) 0..16; moved by a unit in the last place, where a seed is given."""
    digits = load_digits()
    images, labels = digits.images[..., None], digits.target
    images = moved({"images": images}, move, unit)["images"]
    ends = TRAINED, TRAINED + HELD_OUT
    held_out = images[ends[0] : ends[1]], labels[ends[0] : ends[1]]
    return Data(images[: ends[0]], labels[: ends[0]], held_out, generator(0, "difficulty").random(ends[0]))


def spec() -> Any:
    """A network with dropout and batch normalisation."""
    return technique("mlp_small", input_shape=(8, 8, 1), hidden_dims=(24, 16), output_dim=10, dropout_rate=0.125)


def train(
    side: str,
    recipe: Recipe,
    *,
    dtype: str = "float64",
    folder: Any = None,
    move: int | None = None,
    unit: str = "float64",
    epochs: int = EPOCHS,
) -> tuple[History, Any]:
    """The history of a training from the same weights and draws, and the network."""
    network = diglot.build(spec(), side, dtype=dtype)
    state = {name: array.astype("float64") for name, array in diglot.initial_state(spec(), seed=0).items()}
    diglot.set_state(network, moved(state, move, unit))
    trainer = importlib.import_module(f"diglot.{side}_impl.trainer")
    options = {"epochs": epochs, "batch_size": BATCH, "folder": folder, "shared": True, "watch": WATCH}
    return trainer.fit(network, data(move, unit), recipe, **options), network


def results(side: str, recipe: Recipe, **options: Any) -> Arrays:
    """Everything that a training comes to, by name: its history, its weights, and what it makes of held-out digits.

    Left out are the steps of biases that are still zero, which are not a number, and the zeros in the gradients of
    those before a normalisation, which are nothing but rounding.
    """
    history, network = train(side, recipe, **options)
    found: Arrays = {name: array for name, (_, array) in history.tags() if not name.startswith(IDLE)}
    found["step/gradient_norm"] = np.nan_to_num(found["step/gradient_norm"])
    for name in ("step/skipped", "step/loss_scale"):
        found[name] = found[name].astype(np.int64)
    inputs, _ = data().held_out or (None, None)
    outputs = next(iter(diglot.outputs(network, (np.asarray(inputs) * 0.0625 - 0.25) / 0.5).values()))
    return {**found, **diglot.get_state(network), "predictions": outputs, "classes": outputs.argmax(-1)}


if __name__ == "__main__":
    train(sys.argv[1], everything(), folder=sys.argv[2], epochs=int(sys.argv[3]))
