"""Cells arranged as tables of spec x check, one table per kind of spec."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import verdict
from ..results import Cell, Report


@dataclass(frozen=True)
class Column:
    """One check in one dtype."""

    check: str
    dtype: str

    @property
    def label(self) -> str:
        """The check's name, with the dtype where it is not the usual float64."""
        return self.check if self.dtype == "float64" else f"{self.check} {self.dtype}"


@dataclass
class Matrix:
    """The cells of one kind of spec. Rows and columns in order of first appearance; a row lacks what was not run."""

    kind: str
    columns: list[Column] = field(default_factory=list)
    rows: dict[str, dict[Column, Cell]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The kind in the plural, as a heading."""
        first, *rest = self.kind.split(" ")
        return " ".join([f"{first.capitalize()}s", *rest])


def _severity(cell: Cell) -> int:
    return verdict.SEVERITY.index(cell.verdict)


def matrices(report: Report) -> list[Matrix]:
    """One matrix per kind, in order of first appearance. Of two cells with one key the more severe is shown."""
    found: dict[str, Matrix] = {}
    for cell in report.cells:
        matrix = found.setdefault(cell.kind, Matrix(cell.kind))
        column = Column(cell.check, cell.dtype)
        if column not in matrix.columns:
            matrix.columns.append(column)
        row = matrix.rows.setdefault(cell.spec, {})
        row[column] = max(row.get(column, cell), cell, key=_severity)
    return list(found.values())
