"""`diglot run`: one network trained on one side or on both, with progress, and what it came to."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import queue
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .core import backend, parting, threads, verdict
from .core.errors import CheckpointError, DiglotError, MissingFrameworkError, ReportError, SpecError
from .core.noise import Noise
from .core.parting import Series
from .core.plan import PRECISIONS
from .demo_pair import need_data
from .drawing import TITLES, curves
from .run_data import lesson
from .run_side import SCORES, Request, Run, history, kept

QUIET = 0.2  # seconds between two messages of a side
COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


def run_training(request: Request, sides: tuple[str, ...]) -> None:
    """Train, print what it came to, and for two sides where they part."""
    for side in sides:
        if absent := backend.missing(side):
            raise MissingFrameworkError(
                f"the {side} side needs {' and '.join(absent)}: install it with `pip install 'diglot[{side}]'`"
            )
    need_data("matplotlib", "pictures are drawn by")
    need_data("filelock", "the folder of a run is kept for one run by")
    if request.dtype not in PRECISIONS:
        raise SpecError(f"--dtype is {' or '.join(PRECISIONS)}, not {request.dtype!r}")
    found = lesson(request.name, request.fields)
    found.training.course(found.data, Noise(request.seed))  # a wrong request is an error before any framework starts
    threads.single()
    with contextlib.ExitStack() as stack:
        for side in sides:
            stack.enter_context(_alone(Path(request.folder) / side))
        if len(sides) == 1:
            _in_this_process(request, sides[0])
        else:
            _side_by_side(request, sides)
    _tell(request, sides)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The folder, made and locked for as long as this process lives. Raises ReportError where another run has it."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock", blocking=False, is_singleton=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise ReportError(f"another run is writing to {folder}; wait for it, or choose another --out") from None
    except OSError as error:
        raise ReportError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error
    try:
        yield
    finally:
        lock.release()


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(*COLUMNS, console=console, transient=True, disable=not console.is_terminal)


def _in_this_process(request: Request, side: str) -> None:
    with _progress() as progress:
        bar = progress.add_task(f"{TITLES[side]} starts", total=None)
        run = Run(request, side)
        progress.update(bar, total=run.steps)
        run.go(lambda step, found: progress.update(bar, completed=step, description=_line(side, found)))


def _line(side: str, found: Mapping[str, float]) -> str:
    return " ".join([TITLES[side], *(f"{name} {value:.4g}" for name, value in list(found.items())[:3])])


def _side_by_side(request: Request, sides: tuple[str, ...]) -> None:
    """Each side in a process of its own, which ends with this one."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    processes = {side: context.Process(target=_child, args=(request, side, told), daemon=True) for side in sides}
    for process in processes.values():
        process.start()
    try:
        wrong = _watched(sides, processes, told)
    except KeyboardInterrupt:
        for process in processes.values():  # interrupted as well, they write down where they are
            process.join()
        raise
    if wrong:
        for process in processes.values():
            process.terminate()
            process.join()
        raise DiglotError(wrong)
    for process in processes.values():
        process.join()


def _watched(sides: tuple[str, ...], processes: Mapping[str, Any], told: Any) -> str:
    """Show what the sides tell until all are done, or one says what went wrong."""
    with _progress() as progress:
        bars = {side: progress.add_task(f"{TITLES[side]} starts", total=None) for side in sides}
        running, wrong = set(sides), ""
        while running and not wrong:
            try:
                side, event, step, found = told.get(timeout=QUIET)
            except queue.Empty:
                lost = [side for side in running if not processes[side].is_alive()]
                wrong = f"the process of {TITLES[lost[0]]} died; run the same command to go on" if lost else ""
                continue
            if event == "step":
                progress.update(bars[side], completed=step, description=_line(side, found))
            elif event == "steps":
                progress.update(bars[side], total=step)
            elif event == "wrong":
                wrong = found
            else:
                running.discard(side)
    return wrong


def _child(request: Request, side: str, told: Any) -> None:
    said = 0.0

    def tell(step: int, found: Mapping[str, float]) -> None:
        nonlocal said
        if time.monotonic() - said > QUIET:
            told.put((side, "step", step, dict(found)))
            said = time.monotonic()

    try:
        run = Run(request, side)
        told.put((side, "steps", run.steps, {}))
        run.go(tell)
        told.put((side, "done", run.step, {}))
    except DiglotError as error:
        told.put((side, "wrong", 0, str(error)))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        traceback.print_exc()
        told.put((side, "wrong", 0, f"{TITLES[side]} failed: {type(error).__name__}: {error}"))


def _tell(request: Request, sides: tuple[str, ...]) -> None:
    """The scores of each side; for two, the curves in one picture and where they part."""
    folder, console = Path(request.folder), Console()
    scores = {side: json.loads((folder / side / SCORES).read_text()) for side in sides}
    table = Table("", *(TITLES[side] for side in sides), title=f"{request.name}, {request.dtype}", title_justify="left")
    for name in scores[sides[0]]:
        values = [scores[side].get(name) for side in sides]
        table.add_row(name, *(f"{value:,}" if isinstance(value, int) else f"{value:.5g}" for value in values))
    console.print(table)
    if len(sides) == 2:
        histories = {side: _history(folder / side) for side in sides}
        curves(histories, folder / "curves.png")
        for line in parted(histories):
            console.print(line, highlight=False, soft_wrap=True)
    console.print(f"models, scores, curves and pictures are in {folder}/", highlight=False, soft_wrap=True)


def _history(folder: Path) -> dict[str, Series]:
    found = kept(folder)
    if found is None:
        raise CheckpointError(f"{folder} has lost what the run kept; run the same command again")
    note, arrays = found
    return history(note["quantities"], arrays)


def parted(histories: Mapping[str, Any]) -> Iterator[str]:
    """Whether and where two histories part, a line for each quantity."""
    for shared in parting.of(*histories.values()):
        if shared.parted is None:
            low = shared.digits.min() if len(shared.digits) else 0.0
            same = "the same at every step" if low == parting.MOST else f"{low:.1f} digits the same at every step"
            yield f"{shared.name}: {same}"
        else:
            began = f"at first {shared.digits[0]:.1f} digits are the same"
            yield f"{shared.name}: parts at step {shared.parted}, with fewer than {verdict.PARTED:.0f}; {began}"
