"""What the recomputation of a DenseNet's layers saves: memory and time of one training step, with and without."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TITLE = "DenseNet, layers kept or recomputed"
PRESET, SIZE, BATCH = "densenet121", 160, 16
STEPS = 3
WAYS = ("torch", "keras", "keras, eager")
ROOT = Path(__file__).parents[1]


def measure() -> str:
    """A forward and a backward pass in training mode, as each framework's users write them, each in its own process."""
    rows = []
    for way in WAYS:
        kept, again = (run(way, recompute) for recompute in (False, True))
        for layers, found in (("kept", kept), ("recomputed", again)):
            saved = f"{found['saved'] / 1e6:.0f}" if found["saved"] else ""
            rows.append(
                f"| {way} | {layers} | {saved} | {found['peak'] / 1e6:.0f} | {found['peak'] / kept['peak']:.2f} "
                f"| {found['seconds']:.2f} | {found['seconds'] / kept['seconds']:.2f} |"
            )
    head = "| side | layers | saved, MB | peak, MB | ratio | seconds | ratio |\n|---|---|---|---|---|---|---|\n"
    note = (
        f"`{PRESET}`, {BATCH} images of {SIZE} pixels, float32, one thread, the fastest of {STEPS} steps. Saved: what "
        "PyTorch's autograd holds between the passes. Peak: the most resident memory of the process during a step, "
        "over what it has between steps.\n\n"
    )
    return note + head + "\n".join(rows) + "\n"


def run(way: str, recompute: bool) -> dict[str, float]:
    """One configuration in a fresh process, which has only that framework."""
    threads = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    command = [sys.executable, "-m", "bench.recompute", way, str(int(recompute))]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, **threads}
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def resident(which: str) -> int:
    """The resident memory of this process in bytes: `VmRSS` now, `VmHWM` at most since it was last reset."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which)]
    return 1000 * int(line.split()[1])


def one(way: str, recompute: bool) -> dict[str, float]:
    """The figures of a configuration."""
    import diglot

    side, _, eager = way.partition(", ")
    spec = diglot.spec(PRESET, image_size=SIZE, recompute=recompute)
    model, batch = diglot.build(spec, side), spec.drawn(np.random.default_rng(0), BATCH)
    step = torch_step(model, batch) if side == "torch" else keras_step(model, batch, compiled=not eager)
    step()  # traces the graph
    ctypes.CDLL(None).malloc_trim(0)  # what the allocator holds in stock is not the step's
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    times, saved = [], 0.0
    for _ in range(STEPS):
        start = time.perf_counter()
        saved = step()
        times.append(time.perf_counter() - start)
    return {"saved": saved, "peak": resident("VmHWM") - before, "seconds": min(times)}


def torch_step(model: Any, batch: dict[str, Any]) -> Callable[[], float]:
    """One step, which gives the bytes that autograd holds between the passes, each storage once."""
    import torch

    torch.set_num_threads(1)
    image = torch.from_numpy(batch["image"].astype("float32").transpose(0, 3, 1, 2).copy())
    targets = torch.from_numpy(batch["targets"])
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}

    def step() -> float:
        held: dict[int, int] = {}

        def hold(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                held[storage.data_ptr()] = storage.nbytes()
            return tensor

        model.train().zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
            loss = torch.nn.functional.cross_entropy(model(image), targets)
        total = float(sum(held.values()))
        loss.backward()
        return total

    return step


def keras_step(model: Any, batch: dict[str, Any], *, compiled: bool) -> Callable[[], float]:
    """One step; TensorFlow does not say what its tape holds."""
    import keras
    import tensorflow as tf

    image, targets = tf.constant(batch["image"], tf.float32), tf.constant(batch["targets"])
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def gradients() -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(targets, model(image, training=True))
        return tape.gradient(loss, [weight.value for weight in model.trainable_variables])

    run = tf.function(gradients, jit_compile=False) if compiled else gradients

    def step() -> float:
        for gradient in run():
            tf.convert_to_tensor(gradient).numpy()
        return 0.0

    return step


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], bool(int(sys.argv[2])))))
