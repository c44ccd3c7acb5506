"""Tasks -> cells -> report. A cell that fails to run is an `error` cell; the others run on."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import backend, calibration, registry
from .backend import SIDES
from .checks import CHECKS
from .errors import MissingFrameworkError, SpecError
from .journal import Journal
from .judge import failed, judge
from .pair import Pair
from .plan import PRECISIONS, Task, plan
from .results import SCHEMA, Cell, Report
from .rules import Trio
from .spec import Spec
from .technique import Technique
from .verdict import Verdict

__all__ = ["PRECISIONS", "Task", "evaluate", "identity", "judge", "plan", "run", "versions"]


@functools.lru_cache(maxsize=2)
def pair_of(spec: Spec, seed: int) -> Pair:
    """The pair of a spec; kept while its cells run one after another."""
    return Pair(spec, seed)


def evaluate(task: Task) -> Cell:
    """Run one cell. Whatever it raises becomes an `error` cell that says so."""
    start = time.perf_counter()
    try:
        if isinstance(task.spec, Spec):
            pair = pair_of(task.spec, task.seed)
            cell = judge(task, CHECKS[task.check][0](pair, task.dtype), pair)
        else:
            assert isinstance(task.spec, Technique)
            cell = judge(task, Trio(task.spec, task.seed).check(task.check), None)
    except (Exception, SystemExit) as error:  # a cell must never cost the run
        cell = failed(task, error)
    return replace(cell, seconds=time.perf_counter() - start)


def run(
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Callable[[Cell], None] | None = None,
) -> Report:
    """Run the cells, in processes of their own where `workers` is above 1, and journal them in a folder.

    Raises MissingFrameworkError before anything is run where a side is not installed, and ReportError where the
    folder cannot be written or, with `resume`, is of another run.
    """
    for side in SIDES:
        if backend.missing(side):
            raise _both_needed()
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise SpecError(f"workers must be a whole number, at least 1, not {workers!r}")
    start = time.perf_counter()
    journal = None if folder is None else journal_in(folder, tasks, resume)
    kept = journal.cells if journal else []
    done = {cell.key(): cell for cell in kept if cell.verdict is not Verdict.ERROR}
    for cell in _evaluated([task for task in tasks if task.key() not in done], workers or 1):
        done[cell.key()] = cell
        if journal:
            journal.append(cell)
        if progress:
            progress(cell)
    known = calibration.planted()
    return Report(
        [done[task.key()] for task in tasks],
        tasks[0].seed,
        versions(),
        time.perf_counter() - start,
        known.ratio if known else None,
        known.name if known else "",
    )


def journal_in(folder: str | os.PathLike[str], tasks: Sequence[Task], resume: bool) -> Journal:
    """The journal of a run in a folder that can be written. Raises ReportError."""
    from .report import prepare

    prepare(folder)
    return Journal(folder, identity(tasks), resume)


def _both_needed() -> MissingFrameworkError:
    absent = [package for side in SIDES for package in backend.missing(side)]
    return MissingFrameworkError(
        f"a check runs both sides, and this is not installed: {', '.join(absent)}; `pip install 'diglot[torch,keras]'`"
    )


def _evaluated(tasks: Sequence[Task], workers: int) -> Iterator[Cell]:
    if workers == 1:
        yield from map(evaluate, tasks)
        return
    lost = []
    with _pool(workers) as pool:
        futures = {pool.submit(evaluate, task): task for task in tasks}
        for future in concurrent.futures.as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                lost.append(futures[future])
    yield from _alone(lost)


def _alone(tasks: Iterable[Task]) -> Iterator[Cell]:
    """What was lost when a worker died: again, each in a process of its own, so that one cell is blamed and not all."""
    for task in tasks:
        with _pool(1) as pool:
            try:
                yield pool.submit(evaluate, task).result()
            except BrokenProcessPool:
                yield failed(task, RuntimeError("the process that ran this check died"))


def _pool(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    return concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def versions() -> dict[str, str]:
    """The versions of what the run rests on."""
    found = {"python": platform.python_version()}
    for name in ("diglot", "numpy", "torch", "keras", "tensorflow"):
        for package in (name, f"{name}-cpu"):
            try:
                found[name] = importlib.metadata.version(package)
                break
            except importlib.metadata.PackageNotFoundError:
                found[name] = "not installed"
    return found


def sources() -> str:
    """A digest of every source file that a result rests on, third parties' included."""
    digest = hashlib.sha256()
    for package in registry.packages():
        root = package.removesuffix(".core")
        for part in ("core", "torch_impl", "keras_impl"):
            found = importlib.util.find_spec(f"{root}.{part}")
            for folder in found.submodule_search_locations or () if found else ():
                for path in sorted(Path(folder).rglob("*.py")):
                    digest.update(f"{root}.{part} {path.relative_to(folder)}".encode() + path.read_bytes())
    return digest.hexdigest()


def identity(tasks: Sequence[Task]) -> dict[str, Any]:
    """What a journal must share with a run that goes on with it: schema, seed, versions, specs and checks."""
    cells = [[*task.key(), task.spec.name, task.spec.fields()] for task in tasks]
    digest = hashlib.sha256(json.dumps(cells).encode()).hexdigest()
    return {"sources": sources(), "schema": SCHEMA, "seed": tasks[0].seed, "versions": versions(), "plan": digest}
