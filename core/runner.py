"""Plan -> cells -> report. A cell that fails to run is an `error` cell; the others run on."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from . import backend, calibration, compare, registry, verdict
from .backend import SIDES
from .checks import CHECKS, Outcome
from .errors import DiglotError, MissingFrameworkError, SpecError, StateError, nearest
from .journal import Journal
from .locate import locate, of_weights
from .pair import Pair
from .results import Cell, Report
from .rules import DTYPES, Trio
from .spec import Hyperparameters, Spec
from .technique import Technique
from .verdict import Verdict

REPLAYED = ("forward", "forward_training", "gradients", "training")
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Task:
    """One cell to run."""

    label: str
    spec: Hyperparameters
    check: str
    dtype: str
    seed: int

    def key(self) -> tuple[str, str, str]:
        """What identifies the cell within a run."""
        return self.label, self.check, self.dtype


def plan(
    names: str | Hyperparameters | Sequence[str | Hyperparameters] | None = None,
    checks: str | Sequence[str] | None = None,
    dtypes: str | Sequence[str] = PRECISIONS,
    seed: int = 0,
) -> list[Task]:
    """The cells of a run. A name is a spec (its small presets stand for it), a preset or a technique; None is all.

    Raises SpecError for an unknown name, check or dtype, and where nothing is left to run.
    """
    known = (*CHECKS, *DTYPES)
    wanted, precisions = _listed(checks), _listed(dtypes) or PRECISIONS
    for given, allowed, what in ((wanted or (), known, "check"), (precisions, PRECISIONS, "dtype")):
        for name in given:
            if name not in allowed:
                hint = nearest(name, allowed) or f"; there are {', '.join(dict.fromkeys(allowed))}"
                raise SpecError(f"there is no {what} {name!r}{hint}")
    tasks = [
        Task(label, spec, check, dtype, seed)
        for label, spec in _specs(names)
        for check, allowed in (_techniques() if isinstance(spec, Technique) else _architectures())
        for dtype in allowed
        if (wanted is None or check in wanted) and dtype in precisions
    ]
    if not tasks:
        raise SpecError(
            f"none of the checks {', '.join(wanted or known)} applies to these names in {', '.join(precisions)}"
        )
    return tasks


def _architectures() -> list[tuple[str, tuple[str, ...]]]:
    return [(check, dtypes) for check, (_, dtypes) in CHECKS.items()]


def _techniques() -> list[tuple[str, tuple[str, ...]]]:
    return list(DTYPES.items())


def _listed(given: Any) -> tuple[Any, ...] | None:
    if given is None:
        return None
    return (given,) if isinstance(given, str | Hyperparameters) else tuple(given)


def _specs(names: Any) -> Iterator[tuple[str, Hyperparameters]]:
    for name in dict.fromkeys(_listed(names) or (*registry.architectures(), *registry.techniques())):
        if isinstance(name, Hyperparameters):
            yield name.name, name
        else:
            registry.make(name)
            for preset in registry.checked(name):
                yield preset, registry.make(preset)


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
    except Exception as error:  # a cell must never cost the run
        cell = failed(task, error)
    return _timed(cell, time.perf_counter() - start)


def failed(task: Task, error: BaseException) -> Cell:
    """The cell of a check that could not be run."""
    what = str(error) if isinstance(error, DiglotError) else f"{type(error).__name__}: {error}"
    located = of_weights(error.weights) if isinstance(error, StateError) else None
    return Cell(
        task.label,
        task.spec.kind,
        task.check,
        task.dtype,
        Verdict.ERROR,
        float("inf"),
        0.0,
        located=located,
        cause=what,
    )


def judge(task: Task, outcome: Outcome, pair: Pair | None) -> Cell:
    """The cell of an outcome, with the part at fault where there is one."""
    worst = compare.worst(outcome.comparisons)
    verdicts = [item.verdict for item in outcome.comparisons] + [Verdict.DIFFERENT for _ in outcome.complaints]
    found = verdict.worst(verdicts)
    located, cause = None, None
    if found is not Verdict.EQUAL:
        located, cause = _blame(task, outcome, pair)
    return Cell(
        spec=task.label,
        kind=task.spec.kind,
        check=task.check,
        dtype=task.dtype,
        verdict=found,
        ratio=worst.ratio if worst else float("inf"),
        digits=min((item.digits for item in outcome.comparisons), default=0.0),
        worst=worst.name if worst else "",
        tensors=len(outcome.comparisons),
        sensitivity=outcome.sensitivity,
        located=located,
        cause=cause,
    )


def _blame(task: Task, outcome: Outcome, pair: Pair | None) -> tuple[str | None, str]:
    if outcome.complaints:
        return outcome.complaints[0]
    worst = compare.worst(outcome.comparisons)
    if worst is None:
        return None, "nothing was compared, so nothing could have failed"
    size = worst.complaint or f"differs by {worst.difference:.1e}, {worst.ratio:.1e} noise floors"
    if worst.verdict is Verdict.FLOAT32_EQUAL:
        size += "; no float32 run could show it"
    if pair is not None and task.check in REPLAYED:
        fault = locate(pair)
        if fault is not None:
            return fault.part, fault.cause
        return None, f"{worst.name} {size}; every part agrees in isolation, so it is the step and not the network"
    return (task.spec.name if pair is None else None), f"{_departing(outcome)}{worst.name}: {size}"


def _departing(outcome: Outcome) -> str:
    """Which side departs from a technique's rule, where that can be told."""
    wrong = [item.name for item in outcome.comparisons if item.verdict is not Verdict.EQUAL]
    sides = [name for name in ("PyTorch", "Keras") if any(f"(the rule and {name})" in item for item in wrong)]
    return f"{' and '.join(sides)} departs from the rule; " if len(sides) == 1 else ""


def _timed(cell: Cell, seconds: float) -> Cell:
    return Cell(**{**cell.__dict__, "seconds": seconds})


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
    start = time.perf_counter()
    journal = None
    if folder is not None:
        from .report import prepare

        prepare(folder)
        journal = Journal(folder, identity(tasks), resume)
    done = {cell.key(): cell for cell in (journal.cells if journal else [])}
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


def _both_needed() -> MissingFrameworkError:
    absent = [package for side in SIDES for package in backend.missing(side)]
    return MissingFrameworkError(
        f"a check runs both sides, and {' and '.join(absent)} is not installed: `pip install 'diglot[torch,keras]'`"
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


def identity(tasks: Sequence[Task]) -> dict[str, Any]:
    """What a journal must share with a run that goes on with it: schema, seed, versions, specs and checks."""
    cells = [[*task.key(), task.spec.name, task.spec.fields()] for task in tasks]
    digest = hashlib.sha256(json.dumps(cells).encode()).hexdigest()
    return {"schema": 1, "seed": tasks[0].seed, "versions": versions(), "plan": digest}
