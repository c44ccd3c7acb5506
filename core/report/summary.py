"""A report as Markdown, as a continuous-integration job shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..port.mapping import WeightMapping
from ..results import Cell, Report
from ..verdict import BOUND, Verdict
from . import diagnosis, wording
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


def _steps(report: Report) -> Iterator[str]:
    yield "### Layers\n"
    yield f"| {' | '.join(diagnosis.COLUMNS)} | |"
    yield "| :-- | :-- | :-- | --: | --: | --: | :-- |"
    for row in diagnosis.rows(report.findings):
        names, measures = row.cells()[:2], row.cells()[2:]
        mark = f"**{_text(row.mark)}**" if row.mark else _text(row.state) if row.passing else ""
        yield f"| {' | '.join(map(_code, names))} | {' | '.join(map(_text, measures))} | {mark} |"
    yield f"\n{_text(diagnosis.LEGEND)}.\n"


def _weights(mapping: WeightMapping) -> Iterator[str]:
    yield "<details><summary>Which weight was taken for which</summary>\n"
    yield "| PyTorch | Keras | found by |\n| :-- | :-- | :-- |"
    for torch, keras, how in diagnosis.weights(mapping):
        yield f"| {_code(torch)} | {_code(keras)} | {_text(how)} |"
    yield "\n</details>\n"


def _lines(report: Report) -> Iterator[str]:
    margin, meaning = wording.margin(report)
    worst = wording.worst_cell(report)
    told = "" if report.mapping else f", margin {margin}"
    yield f"## {MARKS[report.verdict]} {wording.holds(report)}, worst ratio {wording.number(report.ratio)}{told}\n"
    yield f"- {_text(wording.tally(report))}"
    if worst:
        yield f"- worst ratio {wording.number(worst.ratio)} of at most {BOUND:g}: {_name(worst)}"
    if report.mapping:
        yield f"- {_text(diagnosis.matched(report))}"
        yield from (f"- {_text(note)}" for note in report.notes)
        yield ""
    else:
        yield f"- margin {margin}: {_text(meaning)}\n"
    if failing := wording.failing(report):
        yield "### Not equal\n"
        yield from map(_failure, failing)
        yield ""
    for matrix in matrices(report):
        yield from _table(matrix)
    if report.findings:
        yield from _steps(report)
    if report.mapping and report.mapping.matches:
        yield from _weights(report.mapping)
    versions = "".join(f" · {_text(name)} {_text(version)}" for name, version in report.versions.items())
    yield "Numbers are decimal digits that agree; *exact* is no difference at all.\n"
    yield f"<sub>seed {report.seed} · {wording.duration(report.seconds)}{versions}</sub>"


def render(report: Report) -> str:
    """The report as Markdown: the verdict in the first line, what is not equal, then a table per kind of spec."""
    return "\n".join(_lines(report)) + "\n"
