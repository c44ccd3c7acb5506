"""How long it takes to compare two ResNet-50s, equal ones and ones that part at one layer, with its location."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

TITLE = "Two ResNet-50s compared"
SIZE, BATCH = 224, 1
CHECKS = ("weights", "forward", "gradients")
FAULT = "layer3.2.bn2"
ROOT = Path(__file__).parents[1]


def measure() -> str:
    """torchvision's against our Keras sibling, on two threads, each case in a process of its own."""
    rows = [run(case) for case in ("equal", "epsilon")]
    head = (
        f"torchvision's ResNet-50 and Diglot's in Keras, {BATCH} image of {SIZE} pixels, `diglot.compare` with the "
        f"checks {', '.join(CHECKS)} in float64 on two threads, imports left out; one run each. In the second case the "
        f"epsilon of `{FAULT}` is 1e-3 instead of 1e-5 in Keras, and every layer is also replayed by itself.\n\n"
        "| case | seconds | peak memory, MB | verdict | located |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def run(case: str) -> str:
    """One row, out of a fresh process."""
    threads = {"OMP_NUM_THREADS": "2", "TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.comparison", case],
        check=True, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **threads}, text=True,
    )  # fmt: skip
    return done.stdout.splitlines()[-1]


def one(case: str) -> str:
    """The row of a case."""
    import resource

    import numpy as np

    import diglot
    from parity_tests import oracle  # which defines what torchvision lacks here, so that it can be imported

    torchvision = importlib.import_module(oracle.LIBRARY.ns)
    spec = diglot.spec("resnet50")
    torch_model = torchvision.models.resnet50().eval()
    keras_model = diglot.build(spec, "keras")
    diglot.set_state(keras_model, diglot.load_pretrained(spec, torch_model, source="torchvision"))
    if case == "epsilon":
        keras_model.layer3[2].bn2.epsilon = 1e-3
    image = np.random.default_rng(0).standard_normal((BATCH, SIZE, SIZE, 3))
    started = time.perf_counter()
    report = diglot.compare(torch_model, keras_model, image, checks=CHECKS)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    located = next((cell.located for cell in report.cells if cell.located), "")
    return f"| {case} | {seconds:.1f} | {peak:.0f} | {report.verdict} | {located} |"


if __name__ == "__main__":
    print(one(sys.argv[1]))
