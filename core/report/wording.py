"""The words and numbers that all formats share, so that no two of them say different things."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import verdict
from ..results import Cell, Report
from ..verdict import Verdict
from .printable import one_line

ABSENT = "\N{EN DASH}"
SIGNS = {Verdict.EQUAL: "=", Verdict.FLOAT32_EQUAL: "≈", Verdict.DIFFERENT: "≠", Verdict.ERROR: "!"}


def number(value: float) -> str:
    """Two or three significant digits: `0`, `0.71`, `3.3`, `142`, `1.2e4`, `infinite`, or a dash for not a number."""
    if math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return "infinite"
    if value == 0:
        return "0"
    if 0.01 <= abs(value) < 999.5:
        return f"{value:.3g}" if abs(value) >= 99.5 else f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def duration(seconds: float) -> str:
    """Seconds as people say them: `0.04 s`, `12.3 s`, `3 min 12 s`, `2 h 5 min`."""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def outcome(cell: Cell) -> str:
    """What a cell of the matrix says: the verdict and the digits that agree, or `exact`."""
    if cell.verdict is Verdict.EQUAL and cell.digits >= 17 and cell.ratio == 0:
        return "exact"
    if cell.verdict is Verdict.ERROR or cell.digits >= 17:
        return cell.verdict.value
    return f"{cell.verdict.value} {cell.digits:.1f}"


def ratio(cell: Cell) -> str:
    """The ratio of a cell; a dash where the check could not be run."""
    return ABSENT if cell.verdict is Verdict.ERROR else number(cell.ratio)


def digits(cell: Cell) -> str:
    """The digits of a cell that agree; a dash where the check could not be run."""
    return ABSENT if cell.verdict is Verdict.ERROR else f"{cell.digits:.1f}"


def title(cell: Cell) -> str:
    """The cell's name: spec, check and dtype."""
    return one_line(f"{cell.spec} {cell.check} {cell.dtype}")


def failing(report: Report) -> list[Cell]:
    """The cells that are not equal, the most severe first."""
    cells = [cell for cell in report.cells if cell.verdict is not Verdict.EQUAL]
    return sorted(cells, key=lambda cell: -verdict.SEVERITY.index(cell.verdict))


def together(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells, those of one spec, place and cause side by side, so that it is told once."""
    found: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        place = cell.located or cell.worst
        own = (cell.verdict, cell.spec, place, cell.cause) if cell.cause else (cell.spec, cell.check, cell.dtype)
        found.setdefault(own, []).append(cell)
    return list(found.values())


def located(cell: Cell) -> str:
    """The layer at fault; where none was named, the worst tensor; else the empty string."""
    if cell.located:
        return f"at {one_line(cell.located)}"
    return f"worst tensor {one_line(cell.worst)}" if cell.worst else ""


def cause(cell: Cell) -> str:
    """The cell's own sentence on what went wrong, or one that says that there is none."""
    return one_line(cell.cause or "") or "No cause was recorded."


def counts(report: Report) -> dict[Verdict, int]:
    """How many cells have each verdict."""
    return {each: sum(cell.verdict is each for cell in report.cells) for each in verdict.SEVERITY}


def tally(report: Report) -> str:
    """The counts as a phrase: `40 cells: 38 equal, 2 different`."""
    found = [f"{count} {each.value}" for each, count in counts(report).items() if count]
    cells = f"{len(report.cells)} {unit(report)}{'' if len(report.cells) == 1 else 's'}"
    return f"{cells}: {', '.join(found)}" if found else f"{cells}, so nothing was compared"


def unit(report: Report) -> str:
    """What a cell is called: two models have no matrix, only checks."""
    return "cell" if report.mapping is None else "check"


def holds(report: Report) -> str:
    """The verdict as a statement."""
    return f"Parity {'holds' if report.passed else 'does not hold'}: {report.verdict.value}"


def worst_cell(report: Report) -> Cell | None:
    """The float64 cell with the largest ratio; one that is not a number is the largest."""
    cells = [cell for cell in report.cells if cell.dtype == "float64" and cell.verdict is not Verdict.ERROR]
    return max(cells, key=lambda cell: math.inf if math.isnan(cell.ratio) else cell.ratio, default=None)


def margin(report: Report) -> tuple[str, str]:
    """The margin as a number, or `unknown`, and what that means."""
    if report.planted is None:
        return "unknown", "no planted bug has been calibrated yet"
    bug = f"the mildest planted bug ({one_line(report.planted_bug) or 'unnamed'}, ratio {number(report.planted)})"
    if report.planted and not report.passed:
        return "none", "parity does not hold, so this run has no correct ratio to hold a planted bug against"
    if report.margin is None:
        return "unknown", f"{bug} has no ratio above zero to be compared with"
    return number(report.margin), f"{bug} over the worst correct ratio"
