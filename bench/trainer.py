"""What the trainers cost: a step of `diglot.fit` against one of a bare loop, and of a bare `fit`."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

from .vision import THREADS

TITLE = "Trainers, against a bare loop and a bare fit"
PRESET, SIZE, BATCH = "resnet18", 64, 32
STEPS, WARM, ROUNDS = 16, 2, 2


def measure() -> str:
    """A row for each side."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(THREADS))
    lines = []
    for side in ("torch", "keras"):
        command = [sys.executable, "-m", "bench.trainer", side]
        done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
        lines.append(f"| {' | '.join(json.loads(done.stdout.splitlines()[-1]))} |")
    note = (
        f"`{PRESET}`, {BATCH} images of {SIZE} pixels, SGD with momentum, float32, {THREADS} threads. The bare loop "
        "and the bare `fit` are what users write, and read the loss of every step. The trainer measures the norm of "
        f"all gradients besides. In turn, {ROUNDS} rounds of {STEPS} steps each; the median of all but the first"
        f" {WARM} of each."
    )
    head = "| side | trainer, s | bare, s | trainer / bare |\n|---|---|---|---|\n"
    return f"{note}\n\n{head}" + "\n".join(lines) + "\n"


class Times:
    """When each step of a round ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.steps: list[float] = []

    def note(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())

    @contextlib.contextmanager
    def round(self) -> Iterator[Any]:
        self.ends = []
        yield self.note
        self.steps += list(np.diff(self.ends)[WARM - 1 :])


def one(side: str) -> list[str]:
    """The row of a side."""
    import diglot

    recipe = diglot.Recipe(diglot.spec("sgd", momentum=0.9), diglot.spec("cross_entropy"))
    rng = np.random.default_rng(0)
    images = rng.standard_normal((STEPS * BATCH, SIZE, SIZE, 3), dtype="float32")
    labels = rng.integers(0, 10, len(images))
    data = diglot.Data(images, labels)
    model = diglot.build(diglot.spec(PRESET, num_classes=10, image_size=SIZE), side)
    trainer = importlib.import_module(f"diglot.{side}_impl.trainer")
    bare = {"torch": bare_torch, "keras": bare_keras}[side](model, images, labels)
    times = {"trainer": Times(), "bare": Times()}
    for _ in range(ROUNDS):
        with (
            times["trainer"].round() as note,
            mock.patch.object(trainer, "told", return_value=contextlib.nullcontext(note)),
        ):
            trainer.fit(model, data, recipe, epochs=1, batch_size=BATCH)
        with times["bare"].round() as note:
            bare(note)
    found = {name: statistics.median(kept.steps) for name, kept in times.items()}
    ratio = found["trainer"] / found["bare"]
    return [{"torch": "PyTorch", "keras": "Keras"}[side], *(f"{value:.4f}" for value in found.values()), f"{ratio:.3f}"]


def bare_torch(model: Any, images: np.ndarray, labels: np.ndarray) -> Any:
    """An epoch of a loop over a data loader."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(THREADS)
    loader = DataLoader(
        TensorDataset(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)),
        batch_size=BATCH,
        shuffle=True,
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def epoch(note: Any) -> None:
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()
            note()

    return epoch


def bare_keras(model: Any, images: np.ndarray, labels: np.ndarray) -> Any:
    """An epoch of `fit`."""
    import keras

    def epoch(note: Any) -> None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
        tell = keras.callbacks.LambdaCallback(on_train_batch_end=note)
        model.fit(images, labels, batch_size=BATCH, epochs=1, verbose=0, callbacks=[tell])

    return epoch


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1])))
