"""A report in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..results import Report
from ..verdict import BOUND, Verdict
from . import wording
from .matrix import Column, Matrix, matrices
from .printable import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STYLES = {
    Verdict.EQUAL: "green",
    Verdict.FLOAT32_EQUAL: "yellow",
    Verdict.DIFFERENT: "bold red",
    Verdict.ERROR: "bold magenta",
}
NARROW, GAP = 10, 2


def _heading(column: Column) -> str:
    lines = [""]
    for part in one_line(column.check).replace("_", "_ ").split():
        if lines[-1] and len(lines[-1]) + len(part) > NARROW:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines if column.dtype == "float64" else [*lines, one_line(column.dtype)])


def _widths(matrix: Matrix) -> dict[Column, int]:
    return {
        column: max(
            *map(len, _heading(column).split("\n")),
            *(len(wording.outcome(row[column])) for row in matrix.rows.values() if column in row),
        )
        for column in matrix.columns
    }


def _blocks(widths: dict[Column, int], room: int) -> Iterator[list[Column]]:
    block: list[Column] = []
    for column, width in widths.items():
        if block and sum(widths[other] + GAP for other in block) + width + GAP > room:
            yield block
            block = []
        block.append(column)
    yield block


def _tables(matrix: Matrix, width: int) -> Iterator[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    longest = max(len(one_line(text)) for text in (matrix.kind, *matrix.rows))
    names = min(longest, max(NARROW, width // 3))
    widths = _widths(matrix)
    for block in _blocks(widths, width - names - GAP):
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        table.add_column(Text(one_line(matrix.kind)), width=names, overflow="fold", vertical="bottom")
        for column in block:
            table.add_column(Text(_heading(column)), min_width=widths[column], overflow="fold", vertical="bottom")
        for spec, row in matrix.rows.items():
            cells = [row.get(column) for column in block]
            table.add_row(
                Text(one_line(spec)),
                *(Text(wording.outcome(c), STYLES[c.verdict]) if c else Text(wording.ABSENT, "dim") for c in cells),
            )
        yield table
        yield ""


def _closing(report: Report) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text.assemble((wording.holds(report), STYLES[report.verdict]), f" ({wording.tally(report)})")
    if worst := wording.worst_cell(report):
        yield Text(f"worst ratio {wording.number(worst.ratio)} of at most {BOUND:g}: {wording.title(worst)}")
    yield Text("margin {}: {}".format(*wording.margin(report)))
    summed = sum(cell.seconds for cell in report.cells)
    yield Text(f"time {wording.duration(report.seconds)}, and {wording.duration(summed)} summed over the cells")
    for cell in wording.failing(report):
        size = "" if cell.verdict is Verdict.ERROR else f"ratio {wording.number(cell.ratio)}"
        details = ", ".join(part for part in (size, wording.located(cell)) if part)
        yield ""
        yield Text.assemble((cell.verdict.value, STYLES[cell.verdict]), f" {wording.title(cell)}")
        yield Padding(Text(f"{details}\n{wording.cause(cell)}".strip()), (0, 0, 0, 2))


def table(report: Report, console: Console) -> None:
    """Print one table of spec x check per kind of spec, then the verdict and each cell that is not equal.

    A table that is too wide for the console continues below itself. The number beside a verdict is the decimal digits
    that agree.
    """
    for matrix in matrices(report):
        for renderable in _tables(matrix, console.width):
            console.print(renderable)
    for renderable in _closing(report):
        console.print(renderable, highlight=False, markup=False)
