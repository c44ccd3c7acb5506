"""A comparison of two models of a user's own in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..results import Report
from ..verdict import Verdict
from . import diagnosis, wording
from .narrow import fitted
from .printable import one_line
from .terminal import STYLES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


HEADINGS = ("check", "verdict", "ratio", "worst tensor", "located")
# The last words of the columns, as their headings stand on two lines; those that go where the terminal is narrow.
STEPS = [name.split(", ")[-1] for name in diagnosis.COLUMNS]
NAMES, MEASURES, DROPPED = STEPS[:2], STEPS[3:], (STEPS[5], STEPS[2], STEPS[4])


def _checks(report: Report, width: int) -> RenderableType:
    from rich.text import Text

    rows = [HEADINGS] + [
        (
            one_line(cell.check if cell.dtype == "float64" else f"{cell.check} {cell.dtype}"),
            wording.outcome(cell),
            wording.ratio(cell),
            one_line(cell.worst),
            one_line(cell.located or ""),
        )
        for cell in report.cells
    ]
    found = fitted(rows, ("worst tensor", "located"), ("worst tensor",), width)
    table = _table()
    for name in found[0]:
        table.add_column(name, overflow="fold", justify="right" if name == "ratio" else "left")
    for cell, row in zip(report.cells, found[1:], strict=True):
        table.add_row(*(Text(text, STYLES[cell.verdict] if place == 1 else "") for place, text in enumerate(row)))
    return table


def _steps(report: Report, width: int) -> RenderableType:
    from rich.text import Text

    kept = diagnosis.near(diagnosis.rows(report.findings))
    rows = [row for row in kept if row is not None]
    cells = [(*STEPS, ""), *((*row.cells(), row.mark) for row in rows)]
    found = fitted(cells, NAMES, DROPPED, width)
    table = _table()
    for name in found[0]:
        full = diagnosis.COLUMNS[STEPS.index(name)].replace(", ", ",\n") if name else ""
        table.add_column(full, overflow="fold", vertical="bottom", no_wrap=name in ("", *MEASURES))
    texts = iter(found[1:])
    for row in kept:
        if row is None:
            table.add_row(Text("…", "dim"))
            continue
        style = "dim" if row.passing else "" if row.verdict is Verdict.EQUAL else STYLES[row.verdict]
        told = zip(found[0], next(texts), strict=True)
        table.add_row(*(Text(text, "bold" if not name else style if name in MEASURES else "") for name, text in told))
    return table


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def _parts(report: Report, width: int) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(diagnosis.matched(report))
    for note in report.notes:
        yield Text.assemble(("note: ", "bold"), one_line(note))
    yield ""
    if report.cells:
        yield _checks(report, width)
        yield ""
    if any(row.mark for row in diagnosis.rows(report.findings)):
        yield _steps(report, width)
        yield Text(diagnosis.LEGEND, "dim")
        yield ""
    told = wording.duration(report.seconds) if report.cells else wording.tally(report)
    yield Text.assemble((wording.holds(report), STYLES[report.verdict]), f" ({told})")
    for place, cause in diagnosis.faults(report):
        yield ""
        yield Text.assemble(("at ", "bold"), f"{place}: {cause}") if place else Text(cause)


def show(report: Report, console: Console) -> None:
    """Print how weights were matched, the checks, the steps around the first that differs, and the cause."""
    for part in _parts(report, console.width):
        console.print(part, highlight=False, markup=False)
