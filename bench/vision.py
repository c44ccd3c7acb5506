"""Our siblings against the library that a user would pick instead, in one run: forward pass and training step.

The pairs take turns. Each library's model and ours have the same weights, the same batch and two threads.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

TITLE = "Image classifiers, against torchvision and keras.applications"
BATCH, THREADS, ROUNDS = 16, 2, 5
TORCH = {"resnet18": 96, "resnet50": 96, "densenet121": 96, "googlenet": 96, "inception_v3": 96, "vit_b_32": 128}
KERAS = {"resnet50_keras": ("ResNet50", 96), "densenet121_keras": ("DenseNet121", 96),
         "inception_v3_keras": ("InceptionV3", 96)}  # fmt: skip


def measure() -> str:
    """A row for each network and task."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(THREADS))
    rows = []
    for side, presets in (("torch", TORCH), ("keras", KERAS)):
        for preset in presets:
            command = [sys.executable, "-m", "bench.vision", side, preset]
            done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
            rows += json.loads(done.stdout.splitlines()[-1])
    head = "| network | image | against | what | ours, s | theirs, s | theirs / ours |\n|---|---|---|---|---|---|---|\n"
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    note = f"float32, batch {BATCH}, {THREADS} threads, median of {ROUNDS} runs each, in turn after two to warm up."
    return f"{note}\n\n{head}" + "\n".join(lines) + "\n"


def timed(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float]:
    """The median seconds of each, taking turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 2):
        for call, kept in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            call()
            kept.append(time.perf_counter() - start)
    return statistics.median(times[0][2:]), statistics.median(times[1][2:])


def rows(preset: str, size: int, against: str, tasks: dict[str, tuple[Any, Any]]) -> list[list[Any]]:
    """A row of the table for each task."""
    result = []
    for what, calls in tasks.items():
        ours, theirs = timed(*calls)
        result.append([f"`{preset}`", size, against, what, f"{ours:.3f}", f"{theirs:.3f}", f"{theirs / ours:.2f}"])
    return result


def torch_pair(preset: str) -> list[list[Any]]:
    """Ours in PyTorch against torchvision."""
    import torch

    import diglot

    torch.set_num_threads(THREADS)
    size = TORCH[preset]
    theirs = library(preset, size)
    spec = diglot.spec(preset, image_size=size)
    ours = diglot.build(spec, "torch")
    diglot.set_state(ours, diglot.load_pretrained(spec, theirs, source="torchvision"))
    x, y = torch.randn(BATCH, 3, size, size), torch.randint(1000, (BATCH,))

    def forward(model: Any) -> Callable[[], None]:
        def call() -> None:
            model.eval()
            with torch.no_grad():
                model(x)

        return call

    def step(model: Any) -> Callable[[], None]:
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

        def call() -> None:
            model.train()
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

        return call

    tasks = {"forward": (forward(ours), forward(theirs)), "training step": (step(ours), step(theirs))}
    return rows(preset, size, "torchvision", tasks)


def library(preset: str, size: int) -> Any:
    """torchvision's own model, without auxiliary heads."""
    import torch

    operators = torch.library.Library("torchvision", "DEF")  # the compiled ones may not fit the installed PyTorch
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
    import torchvision

    options: dict[str, Any] = {"image_size": size} if preset.startswith("vit") else {}
    if preset in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": False}
    model = getattr(torchvision.models, preset)(weights=None, **options)
    model.operators = operators
    return model


def keras_pair(preset: str) -> list[list[Any]]:
    """Ours in Keras against keras.applications, compiled."""
    import keras
    import numpy as np

    import diglot

    name, size = KERAS[preset]
    build = getattr(keras.applications, name)
    theirs = build(weights=None, input_shape=(size, size, 3), classifier_activation=None)
    spec = diglot.spec(preset, image_size=size)
    ours = diglot.build(spec, "keras")
    diglot.set_state(ours, diglot.load_pretrained(spec, theirs, source="keras.applications"))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((BATCH, size, size, 3), np.float32), rng.integers(1000, size=BATCH)
    for model in (ours, theirs):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss, jit_compile=False)
    tasks = {
        "forward": (lambda: ours.predict_on_batch(x), lambda: theirs.predict_on_batch(x)),
        "training step": (lambda: ours.train_on_batch(x, y), lambda: theirs.train_on_batch(x, y)),
    }
    return rows(preset, size, "keras.applications", tasks)


if __name__ == "__main__":
    task = {"torch": torch_pair, "keras": keras_pair}[sys.argv[1]]
    print(json.dumps(task(sys.argv[2])))
