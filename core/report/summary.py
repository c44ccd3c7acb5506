"""A report as Markdown, as a continuous-integration job shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..results import Cell, Report
from ..verdict import BOUND, Verdict
from . import wording
from .matrix import Matrix, matrices
from .printable import one_line

MARKS = {Verdict.EQUAL: "✅", Verdict.FLOAT32_EQUAL: "⚠️", Verdict.DIFFERENT: "❌", Verdict.ERROR: "⛔"}


def _text(text: str) -> str:
    escaped = re.sub(r"([\\`*_\[\]|~#@])", r"\\\1", one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str) -> str:
    # A table row is split at its bars before code is recognised, so a bar in code needs its backslash too.
    return f"`{one_line(text).replace('`', chr(39)).replace('|', chr(92) + '|') or ' '}`"


def _entry(cell: Cell | None) -> str:
    if cell is None:
        return wording.ABSENT
    words = wording.outcome(cell)
    if cell.verdict is Verdict.EQUAL:
        return f"{MARKS[cell.verdict]} {words.removeprefix('equal ')}"
    return f"{MARKS[cell.verdict]} **{words}**"


def _table(matrix: Matrix) -> Iterator[str]:
    headings = [
        _code(column.check) + ("" if column.dtype == "float64" else f" {_text(column.dtype)}")
        for column in matrix.columns
    ]
    yield f"### {_text(matrix.title)}\n"
    yield f"| {_text(matrix.kind)} | {' | '.join(headings)} |"
    yield f"| :-- |{' --: |' * len(headings)}"
    for spec, row in matrix.rows.items():
        yield f"| {_code(spec)} | {' | '.join(_entry(row.get(column)) for column in matrix.columns)} |"
    yield ""


def _name(cell: Cell) -> str:
    return f"{_code(cell.spec)} {_code(cell.check)} {_text(cell.dtype)}"


def _failure(cell: Cell) -> str:
    details = [f"**{cell.verdict.value}**"]
    if cell.verdict is not Verdict.ERROR:
        details.append(f"ratio {wording.number(cell.ratio)}")
    if cell.located:
        details.append(f"at {_code(cell.located)}")
    elif cell.worst:
        details.append(f"worst tensor {_code(cell.worst)}")
    return f"- {MARKS[cell.verdict]} {_name(cell)}: {', '.join(details)}. {_text(wording.cause(cell))}"


def _lines(report: Report) -> Iterator[str]:
    margin, meaning = wording.margin(report)
    worst = wording.worst_cell(report)
    yield (
        f"## {MARKS[report.verdict]} {wording.holds(report)}, "
        f"worst ratio {wording.number(report.ratio)}, margin {margin}\n"
    )
    yield f"- {_text(wording.tally(report))}"
    if worst:
        yield f"- worst ratio {wording.number(worst.ratio)} of at most {BOUND:g}: {_name(worst)}"
    yield f"- margin {margin}: {_text(meaning)}\n"
    if failing := wording.failing(report):
        yield "### Not equal\n"
        yield from map(_failure, failing)
        yield ""
    for matrix in matrices(report):
        yield from _table(matrix)
    versions = "".join(f" · {_text(name)} {_text(version)}" for name, version in report.versions.items())
    yield "Numbers are decimal digits that agree; *exact* is no difference at all.\n"
    yield f"<sub>seed {report.seed} · {wording.duration(report.seconds)}{versions}</sub>"


def render(report: Report) -> str:
    """The report as Markdown: the verdict in the first line, what is not equal, then a table per kind of spec."""
    return "\n".join(_lines(report)) + "\n"
