"""`diglot check`: a progress bar while the cells run, then the table and the report files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .core import runner, threads
from .core.report import table
from .core.results import Cell
from .core.spec import Spec
from .core.verdict import Verdict

SMALL = 1_000_000  # weights


def run_check(
    names: list[str] | None,
    checks: list[str] | None,
    dtype: str | None,
    seed: int,
    workers: int,
    folder: Path | None,
    resume: bool,
) -> bool:
    """Run, print, save, and say whether parity holds."""
    tasks = runner.plan(names, checks, runner.PRECISIONS if dtype is None else dtype, seed)
    if all(task.spec.parameter_count() < SMALL for task in tasks if isinstance(task.spec, Spec)):
        threads.single()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("starting both frameworks", total=len(tasks))

        def advance(cell: Cell) -> None:
            progress.update(bar, advance=1, description=f"{cell.spec} {cell.check}")
            if cell.verdict is not Verdict.EQUAL:
                progress.console.print(f"{cell.spec} {cell.check} {cell.dtype}: {cell.verdict}", highlight=False)

        report = runner.run(tasks, workers=workers, folder=folder, resume=resume, progress=advance)
    table(report, Console())
    if folder is not None:
        report.save(folder)
        print(f"reports written to {folder}/")
    return report.passed
