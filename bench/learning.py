"""A training step of what learns in its own way, against the same as tutorials publish it, of stock layers."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from .vision import THREADS

TITLE = "Training steps: generative models, reinforcement learning, meta-learning"
NETWORKS = ("vae", "gan", "diffusion", "dqn", "policy_gradient", "maml")
FIELDS: dict[str, dict[str, Any]] = {"dqn": {"double": True}}
SIZES = {"dqn": 64, "policy_gradient": 16}
SECONDS, LEAST, WARM = 2.0, 9, 3


def measure() -> str:
    """A row for each network and side."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(THREADS))
    lines = []
    for name in NETWORKS:
        for side in ("torch", "keras"):
            command = [sys.executable, "-m", "bench.learning", name, side]
            done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
            lines.append(f"| {' | '.join(json.loads(done.stdout.splitlines()[-1]))} |")
    note = (
        f"Float32, {THREADS} threads, the sizes that `diglot run` trains (DQN's with double choice; the policy "
        "gradient is the actor-critic; a step of the GAN is one update of each network), the way in and out of NumPy "
        "included. "
        "`bench/stock_torch.py` and `bench/stock_keras.py` are what tutorials publish: they draw their own noise, loop "
        "over tasks (PyTorch) or map over them (Keras), and Keras's step is a `tf.function` as ours is. Median of "
        "steps taken in turn; ratio above 1: ours is quicker."
    )
    head = "| network | side | ours, ms | stock, ms | stock / ours |\n|---|---|---|---|---|\n"
    return f"{note}\n\n{head}" + "\n".join(lines) + "\n"


def one(name: str, side: str) -> list[str]:
    """The row of a network on a side."""
    from diglot.core import backend
    from diglot.core.noise import Noise, generator
    from diglot.core.spec import draw

    import diglot

    if side == "torch":
        import torch

        torch.set_num_threads(THREADS)
    spec = diglot.spec(name)
    spec = spec.replace(**{**spec.RUN, **FIELDS.get(name, {})})
    model = diglot.build(spec, side)
    learner = backend.load(side).learner(model, Noise(0))
    stock = getattr(importlib.import_module(f"bench.stock_{side}"), name)(spec)
    size = SIZES.get(name) or getattr(spec, "batch_size", 0) or spec.task_batch
    rng = generator(0, "bench")
    arrays = {verb: {tensor.name: draw(tensor, rng, size) for tensor in spec.verbs()[verb].takes} for verb in stock}
    for given in arrays.values():  # of whole numbers below nothing there are none: flags
        for key in ("terminated", "ended"):
            if key in given:
                given[key] = (rng.random(given[key].shape) < 0.1).astype(given[key].dtype)
    native = {
        verb: {key: laid(side, spec, verb, key, array) for key, array in given.items()}
        for verb, given in arrays.items()
    }
    ways = {
        "ours": lambda: [learner.do(verb, given) for verb, given in arrays.items()],
        "stock": lambda: [stock[verb](given) for verb, given in native.items()],
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    start = time.perf_counter()
    while len(times["ours"]) < LEAST + WARM or time.perf_counter() - start < SECONDS:
        for way, step in ways.items():
            began = time.perf_counter()
            step()
            times[way].append(time.perf_counter() - began)
    ours, theirs = (float(np.median(times[way][WARM:])) for way in ("ours", "stock"))
    return [name, side, f"{ours * 1e3:.2f}", f"{theirs * 1e3:.2f}", f"{theirs / ours:.2f}"]


def laid(side: str, spec: Any, verb: str, key: str, array: Any) -> Any:
    """An array in the side's own layout, as its data would lie there."""
    if side == "keras":
        return array
    from diglot.torch_impl.layout import to_native

    axes = next(tensor.axes for tensor in spec.verbs()[verb].takes if tensor.name == key)
    return np.ascontiguousarray(to_native(array, axes))


if __name__ == "__main__":
    print(json.dumps(one(*sys.argv[1:])))
