"""Linear attention against softmax attention: time and memory of a forward pass and of a training step, by length."""

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

from .recompute import ROOT, resident

TITLE = "Linear attention, against softmax attention"
LENGTHS = (256, 1024, 4096, 16384)
FIELDS = {"d_model": 128, "num_heads": 2, "causal": True}
THREADS, ROUNDS, LONG = 2, 5, 2.0  # what takes longer than so many seconds is measured once


def measure() -> str:
    """A row for each side and length; each form of a side goes through all lengths in a process of its own."""
    found = {(side, form): run(side, form) for side in ("torch", "keras") for form in ("linear", "softmax")}
    rows = []
    for side in ("torch", "keras"):
        for index, length in enumerate(LENGTHS):
            linear, softmax = found[side, "linear"][index], found[side, "softmax"][index]
            cells = [
                f"{linear[what] * scale:.1f} | {softmax[what] * scale:.1f} | {softmax[what] / linear[what]:.2f}"
                for what, scale in (("forward", 1e3), ("step", 1e3), ("forward peak", 1e-6), ("step peak", 1e-6))
            ]
            rows.append(f"| {side} | {length} | {' | '.join(cells)} |")
    heads = [f"{what}, linear | softmax | ratio" for what in ("forward, ms", "step, ms", "forward, MB", "step, MB")]
    head = f"| side | length | {' | '.join(heads)} |\n|{'---|' * 14}\n"
    note = (
        f"Causal self-attention of width {FIELDS['d_model']} with {FIELDS['num_heads']} heads, one sequence, float32, "
        f"{THREADS} threads, the fastest of {ROUNDS} runs, in Keras compiled. Both forms are the same network but for "
        "what joins queries, keys and values; softmax takes the framework's fused kernel, which in PyTorch never "
        "writes the attention map out. MB: the most resident memory of the process, over what it had before its first "
        "pass.\n\n"
    )
    return note + head + "\n".join(rows) + "\n"


def run(side: str, form: str) -> list[dict[str, float]]:
    """One form on one side in a fresh process, which has only that framework."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(THREADS))
    command = [sys.executable, "-m", "bench.linear_attention", side, form]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, **threads}
    )
    result: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return result


def one(side: str, form: str) -> list[dict[str, float]]:
    """The figures of each length, the shortest first, so that what an allocator keeps of one never hides the next."""
    import diglot

    model = diglot.build(diglot.spec("linear_attention", **FIELDS), side)
    tasks_of = torch_tasks if side == "torch" else keras_tasks
    tasks = tasks_of(model, form)
    ctypes.CDLL(None).malloc_trim(0)
    before, result = resident("VmRSS"), []
    for length in LENGTHS:
        x = np.random.default_rng(0).standard_normal((1, length, FIELDS["d_model"])).astype("float32")
        row: dict[str, float] = {}
        for what, make in tasks.items():
            call = make(x)
            call()
            Path("/proc/self/clear_refs").write_text("5")
            row[what] = fastest(call)
            row[f"{what} peak"] = resident("VmHWM") - before
        result.append(row)
    return result


def fastest(call: Callable[[], Any]) -> float:
    """The least seconds of several calls, or of one that takes long."""
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < LONG:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def torch_tasks(model: Any, form: str) -> dict[str, Callable[[Any], Callable[[], Any]]]:
    """What makes the forward pass and the training step on an input."""
    import torch

    torch.set_num_threads(THREADS)

    def softmax(query: Any, key: Any, value: Any, mask: Any = None, cache: Any = None) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)

    if form == "softmax":
        model.feature_map.forward, model.sums.forward = lambda x: x, softmax

    def forward(x: Any) -> Callable[[], Any]:
        given = torch.from_numpy(x)
        return torch.no_grad()(lambda: model(given))

    def step(x: Any) -> Callable[[], Any]:
        given = torch.from_numpy(x)

        def call() -> None:
            model.zero_grad()
            model(given).square().mean().backward()

        return call

    return {"forward": forward, "step": step}


def keras_tasks(model: Any, form: str) -> dict[str, Callable[[Any], Callable[[], Any]]]:
    """The same in Keras, compiled for any length."""
    import tensorflow as tf
    from keras import ops

    def softmax(query: Any, key: Any, value: Any, mask: Any = None, cache: Any = None) -> Any:
        query, key, value = (ops.swapaxes(x, 1, 2) for x in (query, key, value))  # (batch, time, heads, channels)
        return ops.swapaxes(ops.dot_product_attention(query, key, value, is_causal=True), 1, 2)

    if form == "softmax":
        model.feature_map.call, model.sums.call = lambda x: x, softmax
    signature = [tf.TensorSpec((None, None, FIELDS["d_model"]), tf.float32)]
    forward = tf.function(model, input_signature=signature, jit_compile=False)

    @tf.function(input_signature=signature, jit_compile=False)
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x)))
        return tape.gradient(loss, [weight.value for weight in model.trainable_variables])

    def task(run: Any) -> Callable[[Any], Callable[[], Any]]:
        def make(x: Any) -> Callable[[], Any]:
            given = tf.constant(x)
            return lambda: tf.nest.map_structure(lambda found: found.numpy(), run(given))

        return make

    return {"forward": task(forward), "step": task(step)}


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], sys.argv[2])))
