"""A training step of the meta-learners: all tasks of a batch at once, against one task after another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

TITLE = "Meta-learning, all tasks at once and one after another"
NETWORKS, TASKS = ("maml", "reptile"), (4, 16, 64)
THREADS, SECONDS, LEAST = 1, 3.0, 12  # a second thread costs networks as small more than it gives


def measure() -> str:
    """A row for each network, side and number of tasks."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(THREADS))
    lines = []
    for name in NETWORKS:
        for side in ("torch", "keras"):
            command = [sys.executable, "-m", "bench.meta_learning", name, side]
            done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
            lines += [f"| {' | '.join(row)} |" for row in json.loads(done.stdout.splitlines()[-1])]
    note = (
        f"Float32, {THREADS} thread, sinusoids, the sizes that `diglot run` trains, the way in and out of NumPy "
        "included. At once: `torch.func.vmap` and `tf.vectorized_map`; in turn: a loop in PyTorch, and `tf.map_fn`, "
        "the loop of a compiled graph, in Keras. The fastest of steps taken in turn."
    )
    head = "| network | side | tasks | at once, ms | in turn, ms | in turn / at once |\n|---|---|---|---|---|---|\n"
    return f"{note}\n\n{head}" + "\n".join(lines) + "\n"


def one(name: str, side: str) -> list[list[str]]:
    """The rows of a network on a side."""
    import diglot

    if side == "torch":
        import torch

        torch.set_num_threads(THREADS)
    spec = diglot.spec(name)
    spec = spec.replace(**spec.RUN)
    rows = []
    for tasks in TASKS:
        at_once, in_turn = compared(side, [spec.replace(task_batch=tasks, parallel=flag) for flag in (True, False)])
        cells = f"{at_once * 1e3:.2f}", f"{in_turn * 1e3:.2f}", f"{in_turn / at_once:.2f}"
        rows.append([name, side, str(tasks), *cells])
    return rows


def compared(side: str, specs: list[Any]) -> list[float]:
    """The seconds of a step of each spec, on the same tasks."""
    from diglot.core import backend
    from diglot.core.noise import Noise, generator
    from diglot.core.spec import draw

    import diglot

    models = [diglot.build(spec, side) for spec in specs]
    learners = [backend.load(side).learner(model, Noise(0)) for model in models]
    rng = generator(0, "bench")
    arrays = {tensor.name: draw(tensor, rng, specs[0].task_batch) for tensor in specs[0].verbs()["step"].takes}
    times: list[list[float]] = [[] for _ in specs]
    start = time.perf_counter()
    while len(times[0]) < LEAST or time.perf_counter() - start < SECONDS:
        for learner, taken in zip(learners, times, strict=True):
            began = time.perf_counter()
            learner.do("step", arrays)
            taken.append(time.perf_counter() - began)
    return [min(taken) for taken in times]


if __name__ == "__main__":
    print(json.dumps(one(*sys.argv[1:])))
