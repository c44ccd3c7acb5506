"""`python -m bench.fuzz`: thousands of damaged files, each of which must be refused in a sentence or read all right.

Workers read them in processes of their own, so that a crash or a hang of a library in C is seen and blamed on its file.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import faulthandler
import io
import multiprocessing
import multiprocessing.connection
import os
import pickle
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diglot.core.errors import LONGEST, DiglotError

from .fuzz_cases import Case, cases
from .mutations import mutated

REFUSED, READ = "refused", "read"
FAILURES = ("traceback", "no sentence", "left behind", "hang", "crash")
LIMIT = 120.0  # seconds for one file
MEMORY = 3 << 30  # bytes more than the frameworks take


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    number: int
    kind: str
    text: str = ""


def damaged(given: Sequence[Case], seed: int, number: int) -> tuple[Case, bytes]:
    """The case of a number and its damaged file: the same ones each time."""
    case, rng = given[number % len(given)], np.random.default_rng([seed, number])
    return case, mutated(case.files[case.damaged], rng, case.special)


def attempt(case: Case, data: bytes, folder: Path, number: int) -> Outcome:
    """Read and convert one damaged file in an empty folder."""
    kinds = []
    for one in case.attempts:
        for name, text in case.files.items():
            (folder / name).write_bytes(data if name == case.damaged else text)
        kind, text = _tried(one, folder / case.read, folder / "out")
        left = {path.name for path in folder.iterdir()} - set(case.files)
        if kind == REFUSED and left:
            kind, text = "left behind", f"{', '.join(left)} after: {text}"
        for path in folder.iterdir():
            path.unlink()
        if kind in FAILURES:
            return Outcome(number, kind, text)
        kinds.append(kind)
    return Outcome(number, READ if READ in kinds else REFUSED)


def _tried(one: Any, path: Path, out: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            one(path, out)
    except DiglotError as error:
        text = str(error)
        return (REFUSED if text.isprintable() and 0 < len(text) <= LONGEST else "no sentence"), text
    except BaseException:
        return "traceback", traceback.format_exc()
    return READ, ""


def work(pipe: Any, given: bytes, seed: int, log: str) -> None:
    """A worker: a number comes, its outcome goes."""
    with open(log, "wb", buffering=0) as file:
        os.dup2(file.fileno(), 2)
        faulthandler.enable(file)
        known = pickle.loads(given)
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            for number, case in enumerate(known):  # whose libraries then are imported
                attempt(case, case.files[case.damaged], folder, number)
            _, most = resource.getrlimit(resource.RLIMIT_AS)
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, most))
            pipe.send(None)
            for number in iter(pipe.recv, None):
                pipe.send(attempt(*damaged(known, seed, number), folder, number))


class Worker:
    """A process that is given numbers, and is started anew when it has died."""

    def __init__(self, given: bytes, seed: int, log: str) -> None:
        self.given, self.seed, self.log = given, seed, log
        self.start()

    def start(self) -> None:
        self.number, self.begun = -1, time.monotonic()
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, self.given, self.seed, self.log))
        self.process.start()
        other.close()

    def ask(self, number: int | None) -> None:
        self.number, self.begun = -1 if number is None else number, time.monotonic()
        self.pipe.send(number)

    def answer(self) -> Outcome | None:
        """What became of the number, where that is known; a worker that died or hangs is replaced."""
        try:
            if self.pipe.poll():
                found: Outcome | None = self.pipe.recv()
                return found or Outcome(-1, "")
        except (EOFError, OSError):
            return self._lost("crash")
        limit = LIMIT if self.number >= 0 else 10 * LIMIT
        return self._lost("hang") if time.monotonic() > self.begun + limit else None

    def _lost(self, kind: str) -> Outcome:
        self.process.kill()
        self.process.join()
        said, *_ = Path(self.log).read_text(errors="replace").partition("Extension modules:")
        said = said[-3000:]
        if self.number < 0:
            raise RuntimeError(f"a worker did not start: {said}")
        found = Outcome(self.number, kind, f"exit status {self.process.exitcode}\n{said}")
        self.start()
        return found


def outcomes(given: Sequence[Case], seed: int, numbers: Sequence[int], workers: int) -> Iterator[Outcome]:
    """What became of each of the files."""
    left = iter(numbers)
    with tempfile.TemporaryDirectory() as folder:
        known = pickle.dumps(list(given)) if workers else b""
        held = [Worker(known, seed, f"{folder}/{index}.log") for index in range(workers)]
        busy = dict.fromkeys(held)
        while busy:
            multiprocessing.connection.wait([worker.pipe for worker in busy], 1.0)
            for worker in list(busy):
                found = worker.answer()
                if found is None:
                    continue
                if found.number >= 0:
                    yield found
                if found.kind in ("crash", "hang"):
                    continue  # the new process says when it is ready
                number = next(left, None)
                worker.ask(number)
                if number is None:
                    worker.process.join()
                    del busy[worker]


def fuzz(files: int, seed: int = 0, workers: int = 2, only: int | None = None) -> tuple[dict[str, int], list[Outcome]]:
    """How often each outcome came, and the failures."""
    given = cases()
    counts, failures = collections.Counter[str](), []
    for found in outcomes(given, seed, range(files) if only is None else [only], workers):
        counts[found.kind] += 1
        if sum(counts.values()) % 1000 == 0:
            print(f"{sum(counts.values()):,} files", file=sys.stderr, flush=True)
        if found.kind in FAILURES:
            failures.append(found)
            print(told(given, seed, found), flush=True)
    return dict(counts), failures


def told(given: Sequence[Case], seed: int, found: Outcome) -> str:
    """A failure, and how to see it again."""
    name = given[found.number % len(given)].name
    return f"{found.kind}: {name}, again with --seed {seed} --only {found.number}\n{found.text}"


def main() -> None:
    """Print how many files had which outcome; exit status 1 where one was neither refused nor read."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="one file, by its number")
    parser.add_argument("--keep", type=Path, help="a folder for that file")
    options = parser.parse_args()
    if options.keep is not None and options.only is not None:
        case, data = damaged(cases(), options.seed, options.only)
        options.keep.mkdir(parents=True, exist_ok=True)
        for name, text in case.files.items():
            (options.keep / name).write_bytes(data if name == case.damaged else text)
    begun = time.monotonic()
    counts, failures = fuzz(options.files, options.seed, options.workers, options.only)
    shown = ", ".join(f"{counts.get(kind, 0):,} {kind}" for kind in (REFUSED, READ, *FAILURES))
    print(f"{sum(counts.values()):,} files of seed {options.seed} in {time.monotonic() - begun:.0f} s: {shown}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
