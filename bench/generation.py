"""Text generation with the cache and without it: what a token costs, by how many there are already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from .vision import THREADS

TITLE = "Generation, with the cache and without"
FIELDS = {"num_layers": 4, "d_model": 512, "num_heads": 8, "d_ff": 2048, "vocab_size": 8000, "max_len": 640}
PROMPT, LENGTHS, AROUND = 8, (64, 128, 256, 512), 8


def measure() -> str:
    """A row for each side and number of tokens."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(THREADS))
    lines = []
    for side in ("torch", "keras"):
        command = [sys.executable, "-m", "bench.generation", side]
        done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
        lines += [f"| {' | '.join(row)} |" for row in json.loads(done.stdout.splitlines()[-1])]
    note = (
        f"`gpt2` with {FIELDS['num_layers']} blocks of width {FIELDS['d_model']}, float32, one row, greedy, a prompt "
        f"of {PROMPT} tokens, {THREADS} threads. A token's cost is the median of the {2 * AROUND} around that place, "
        "without the cache of three; the last two columns are of a whole text of that length."
    )
    head = (
        "| side | tokens | a token with cache, ms | without, ms | whole text with cache, s | without / with |\n"
        "|---|---|---|---|---|---|\n"
    )
    return f"{note}\n\n{head}" + "\n".join(lines) + "\n"


def one(side: str) -> list[list[str]]:
    """The rows of a side."""
    from diglot.core import backend

    import diglot

    spec = diglot.spec("gpt2", **FIELDS)
    model = diglot.build(spec, side)
    diglot.set_state(model, diglot.initial_state(spec))
    if side == "torch":
        import torch

        torch.set_num_threads(THREADS)
    decoder = backend.load(side).decoder
    cached, whole = decoder(model, {}), backend.load(side).forward
    prompt = np.arange(1, PROMPT + 1)[None]
    decoder(model, {}).step(prompt)  # traces the graph
    text = prompt
    logits = cached.step(prompt)
    costs: list[float] = []
    for _ in range(max(LENGTHS) + AROUND):
        token = logits.argmax(axis=-1)[:, None]
        text = np.concatenate([text, token], axis=1)
        start = time.perf_counter()
        logits = cached.step(token)
        costs.append(time.perf_counter() - start)
    rows, points = [], {length: uncached(whole, model, text[:, : PROMPT + length]) for length in (1, *LENGTHS)}
    for length in LENGTHS:
        token = float(np.median(costs[length - AROUND : length + AROUND]))
        known = [point for point in points if point <= length]
        total = float(np.trapezoid([points[point] for point in known], known))
        with_cache = sum(costs[:length])
        cells = f"{token * 1e3:.1f}", f"{points[length] * 1e3:.1f}", f"{with_cache:.2f}", f"{total / with_cache:.1f}"
        rows.append([side, str(length), *cells])
    return rows


def uncached(forward: Any, model: Any, text: Any) -> float:
    """The seconds of the whole network over a text, the median of three."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        forward(model, {"tokens": text})
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1])))
