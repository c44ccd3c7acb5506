"""A comparison of two models of a user's own in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..results import Report
from ..verdict import Verdict
from . import diagnosis, wording
from .printable import one_line
from .terminal import STYLES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def _checks(report: Report) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in ("check", "verdict", "ratio", "worst tensor", "located"):
        table.add_column(name, overflow="fold", justify="right" if name == "ratio" else "left")
    for cell in report.cells:
        table.add_row(
            Text(one_line(cell.check if cell.dtype == "float64" else f"{cell.check} {cell.dtype}")),
            Text(wording.outcome(cell), STYLES[cell.verdict]),
            wording.ratio(cell),
            Text(one_line(cell.worst)),
            Text(one_line(cell.located or "")),
        )
    return table


def _steps(report: Report) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for place, name in enumerate(diagnosis.COLUMNS):
        table.add_column(name.replace(", ", ",\n"), overflow="fold", vertical="bottom", no_wrap=place > 2)
    table.add_column("", no_wrap=True)
    for row in diagnosis.near(diagnosis.rows(report.findings)):
        if row is None:
            table.add_row(Text("…", "dim"))
            continue
        style = "" if row.verdict is Verdict.EQUAL else STYLES[row.verdict]
        names, measures = row.cells()[:3], row.cells()[3:]
        table.add_row(
            *(Text(name) for name in names), *(Text(text, style) for text in measures), Text(row.mark, "bold")
        )
    return table


def _parts(report: Report) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(diagnosis.matched(report))
    for note in report.notes:
        yield Text.assemble(("note: ", "bold"), one_line(note))
    yield ""
    yield _checks(report)
    yield ""
    if any(row.mark for row in diagnosis.rows(report.findings)):
        yield _steps(report)
        yield Text(diagnosis.LEGEND, "dim")
        yield ""
    yield Text.assemble((wording.holds(report), STYLES[report.verdict]), f" ({wording.duration(report.seconds)})")
    for place, cause in diagnosis.faults(report):
        yield ""
        yield Text.assemble(("at ", "bold"), f"{place}: {cause}") if place else Text(cause)


def show(report: Report, console: Console) -> None:
    """Print how weights were matched, the checks, the steps around the first that differs, and the cause."""
    for part in _parts(report):
        console.print(part, highlight=False, markup=False)
