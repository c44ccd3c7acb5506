"""The time and the memory that converting a file of 2 GB takes, against `cp` of the same file on the same disk."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from diglot.core.files import repacking, target, writing
from diglot.core.files.forms import read
from diglot.core.files.planned import Planned
from diglot.core.port.mapping import Match, WeightMapping
from diglot.core.port.piece import Piece

TITLE = "Converting a file of 2 GB"
ROUNDS = 5
BLOCKS = 19
NEEDED = 8e9  # bytes: the two sources, the result and the copy
EMBEDDING = (50257, 1024)
KINDS = {  # axes and shape in PyTorch, and axes in Keras
    "expand": ("out in", (4096, 2048), "in out"),
    "contract": ("out in", (2048, 4096), "in out"),
    "project": ("out in", (2048, 2048), "in out"),
    "bias": ("out", (4096,), "out"),
    "convolution": ("out in height width", (512, 512, 3, 3), "height width in out"),
}
CHILD = """
import sys, time
import diglot, numpy
from bench.conversion import mapping
start = time.perf_counter()
diglot.convert(*sys.argv[1:], map=mapping())
seconds = time.perf_counter() - start
print(seconds, *[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""
FORMS = (("a.safetensors", "b.weights.h5"), ("a.weights.h5", "b.safetensors"), ("a.pt", "b.weights.h5"))


def mapping() -> WeightMapping:
    """Which tensor of the file is which, as of two models of a user's own."""
    found = [_match("embedding.weight", "tokens channels", "tokens channels", "embedding/vars/0")]
    for block in range(BLOCKS):
        for kind, (torch, _, keras) in KINDS.items():
            found.append(_match(f"blocks.{block}.{kind}", torch, keras, f"blocks/block_{block}/{kind}/vars/0"))
    return WeightMapping(tuple(found))


def measure() -> str:
    """A Markdown table: medians of rounds, in each of which both are measured, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < NEEDED:
            raise SystemExit(f"{folder} has no room for {NEEDED / 1e9:.0f} GB; set TMPDIR to another disk")
        size, largest = _make(folder)
        rows = [_row(folder, source, result) for source, result in FORMS]
    limit = 3 * largest / 1e6 + 150
    head = (
        f"{size / 1e9:.2f} GB in float32: an embedding of {largest / 1e6:.0f} MB, dense kernels and convolutions; all "
        "but the embedding and the biases are permuted. Seconds of `diglot.convert`, the reading back of what it wrote "
        "included, against `cp` of the same file; neither forces anything through to the disk. A process of its own "
        f"each, whose start and end are told apart. {ROUNDS} rounds in turn, warm cache, medians; {_cores()} cores. "
        "Peak: all memory of the process, mapped files included. The goals are a ratio of 2, and for the peak three "
        f"times the largest tensor and 150 MB, which are {limit:.0f}.\n\n"
    )
    names = "| from and into | seconds | cp, seconds | ratio | start and end, seconds | peak, MB |\n"
    return head + names + "|---|---|---|---|---|---|\n" + "".join(rows)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _row(folder: Path, source: str, result: str) -> str:
    origin, target_, copy = folder / source, folder / result, folder / "copy"
    ours, starts, theirs, ratios, peaks = [], [], [], [], []
    _read(origin)
    for _ in range(ROUNDS):
        theirs.append(_timed(["cp", str(origin), str(copy)], copy)[0])
        whole, said = _timed([sys.executable, "-c", CHILD, str(origin), str(target_)], target_)
        seconds, peak = said.split()
        ours.append(float(seconds))
        starts.append(whole - ours[-1])
        peaks.append(1024 * int(peak))
        ratios.append(ours[-1] / theirs[-1])
    median = statistics.median
    return (
        f"| `{origin.name[1:]}` into `{target_.name[1:]}` | {median(ours):.2f} | {median(theirs):.2f} | "
        f"{median(ratios):.2f} | {median(starts):.2f} | {max(peaks) / 1e6:.0f} |\n"
    )


def _timed(command: list[str], written: Path) -> tuple[float, str]:
    """Seconds that a process takes and what it prints; its file is then removed."""
    os.sync()
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    written.unlink()
    return seconds, done.stdout


def _read(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def _make(folder: Path) -> tuple[int, int]:
    """Write the sources. Returns the size of the first, and that of the largest tensor."""
    numbers = np.random.default_rng(0).standard_normal(1 << 24, np.float32)
    shapes = {"embedding.weight": EMBEDDING}
    shapes |= {f"blocks.{block}.{kind}": shape for block in range(BLOCKS) for kind, (_, shape, _) in KINDS.items()}
    tensors = [_drawn(name, shape, numbers) for name, shape in shapes.items()]
    first = folder / "a.safetensors"
    writing.write(target.files(first, tensors), [])
    held = read(first)
    assert held is not None
    writing.write(target.files(folder / "a.pt", repacking.planned(held)), [held])
    import diglot

    diglot.convert(first, folder / "a.weights.h5", map=mapping())
    return first.stat().st_size, max(each.nbytes for each in tensors)


def _drawn(name: str, shape: tuple[int, ...], numbers: np.ndarray) -> Planned:
    return Planned(name, "F32", shape, (name,), plain=lambda: np.resize(numbers, shape))


def _match(name: str, torch: str, keras: str, stored: str) -> Match:
    return Match(name, keras, (Piece(name, torch),), (Piece(stored, keras, stored=stored),), "map")
