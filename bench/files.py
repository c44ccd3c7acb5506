"""The peak of extra memory, and the time, that saving and loading a state of 1 GB takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

TITLE = "A state of 1 GB"
PROGRAM = """
import json, resource, shutil, sys, time
import numpy as np
import diglot
from diglot.core import checkpoint

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

task, path = sys.argv[1:]
spec = diglot.spec("mlp", input_shape=(4096,), hidden_dims=(4096,) * 15, output_dim=4096)
size = sum(weight.size * 4 for weight in spec.weights())
largest = max(weight.size * 4 for weight in spec.weights())
if task == "save":
    state = {weight.name: np.full(weight.shape, 0.5, np.float32) for weight in spec.weights()}
    before, start = peak(), time.perf_counter()
    diglot.save(path, spec, state)
    extra = peak() - before
    seconds = time.perf_counter() - start
elif task == "load":
    import safetensors
    before, start = peak(), time.perf_counter()
    _, state = diglot.load(path)
    extra = peak() - before - size
    seconds = time.perf_counter() - start
else:
    start = time.perf_counter()
    shutil.copyfile(path, path + ".copy")
    extra, seconds = 0, time.perf_counter() - start
print(json.dumps({"size": size, "largest": largest, "extra": extra, "seconds": seconds}))
"""


def measure() -> str:
    """Save, load and copy one file, each in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "state.safetensors")
        for task in ("save", "load", "copy"):
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, task, path], check=True, capture_output=True, text=True
            )
            found = json.loads(done.stdout)
            extra = f"{found['extra'] / 1e6:.0f}" if task != "copy" else "none"
            rows.append(f"| {task} | {found['seconds']:.2f} | {extra} |")
    head = f"{found['size'] / 1e9:.2f} GB in float32, largest tensor {found['largest'] / 1e6:.0f} MB; one run each.\n\n"
    return head + "| task | seconds | peak of extra memory, MB |\n|---|---|---|\n" + "\n".join(rows) + "\n"
