"""`python -m parity_tests.planted`: meet every planted bug; `--write` keeps the mildest as the calibration."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

from diglot.core import calibration, runner, verdict
from diglot.core.checkpoint import replacing
from diglot.core.judge import failed
from diglot.core.results import Cell
from diglot.core.verdict import Verdict
from rich.console import Console
from rich.progress import track
from rich.table import Table

from . import Bug, catalogue, meet

WIDE = 180  # columns of the table where the output is a file
Met = list[tuple[Bug, Cell]]


def main() -> int:
    """Meet every bug, print what was found of each, and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.planted", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {calibration.FILE.name} where no bug is missed")
    write = parser.parse_args().write
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    met = [(bug, tried(bug)) for bug in track(catalogue(), "planted bugs", console=console, transient=True)]
    console.print(table(met))
    missed = [bug for bug, cell in met if not (caught(cell) and located(bug, cell))]
    for line in summary(met):
        console.print(line, soft_wrap=True, highlight=False)
    if write and not missed:
        save(met)
    elif write:
        console.print(f"{calibration.FILE.name} is left as it was, since a bug was missed")
    return 1 if missed else 0


def tried(bug: Bug) -> Cell:
    """The bug's cell; an `error` cell where its check could not be run."""
    try:
        return meet(bug)
    except Exception as error:  # one bug must not cost the others
        return failed(runner.Task(bug.spec.name, bug.spec, bug.check, "float64", 0), error)


def caught(cell: Cell) -> bool:
    """Whether the check saw the bug."""
    return cell.verdict is not Verdict.EQUAL


def located(bug: Bug, cell: Cell) -> bool:
    """Whether the right part was blamed."""
    return cell.located == bug.where


def measured(cell: Cell) -> float | None:
    """The bug's ratio to three digits; None where it was seen by something else than a difference of numbers."""
    seen = math.isfinite(cell.ratio) and verdict.is_seen(cell.ratio)
    return float(f"{cell.ratio:.3g}") if seen else None


def mildest(met: Met) -> tuple[Bug, float] | None:
    """The bug of the smallest ratio, with the ratio."""
    ratios = [(bug, ratio) for bug, cell in met if (ratio := measured(cell)) is not None]
    return min(ratios, key=lambda pair: pair[1], default=None)


def summary(met: Met) -> list[str]:
    """What was missed and why, how many were not, and the mildest."""
    lines = []
    for bug, cell in met:
        if not caught(cell):
            lines.append(f"not caught: {title(bug)}")
        elif not located(bug, cell):
            lines.append(f"not located: {title(bug)}: {cell.located or 'no part'} was blamed: {cell.cause}")
    found = [sum(caught(cell) for _, cell in met), sum(located(bug, cell) for bug, cell in met)]
    lines.append(f"{found[0]} of {len(met)} caught, {found[1]} of {len(met)} located")
    if least := mildest(met):
        lines.append(f"mildest: {title(least[0])}, {least[1]:.1e} noise floors")
    return lines


def table(met: Met) -> Table:
    """One row for each bug."""
    result = Table(title="Planted bugs", expand=False)
    for heading in ("spec", "bug", "side", "check", "verdict"):
        result.add_column(heading)
    result.add_column("ratio", justify="right")
    result.add_column("where")
    result.add_column("located")
    for bug, cell in met:
        ratio = measured(cell)
        result.add_row(
            bug.spec.name,
            bug.name,
            bug.side,
            bug.check,
            cell.verdict.value,
            "" if ratio is None else f"{ratio:.1e}",
            bug.where,
            cell.located or "",
            style=None if caught(cell) and located(bug, cell) else "red",
        )
    return result


def title(bug: Bug) -> str:
    """The bug's name with its spec's."""
    return f"{bug.spec.name}: {bug.name}"


def save(met: Met) -> None:
    """Write the calibration."""
    least = mildest(met)
    assert least is not None
    bug, ratio = least
    contents = {
        "mildest": {"name": title(bug), "spec": bug.spec.name, "side": bug.side, "ratio": ratio},
        "bugs": [row(bug, cell) for bug, cell in met],
        "versions": runner.versions(),
    }
    with replacing(calibration.FILE) as file:
        file.write((json.dumps(contents, indent=1) + "\n").encode())


def row(bug: Bug, cell: Cell) -> dict[str, Any]:
    """One bug in the calibration."""
    return {
        "name": bug.name,
        "spec": bug.spec.name,
        "side": bug.side,
        "check": bug.check,
        "verdict": cell.verdict.value,
        "ratio": measured(cell),
        "where": bug.where,
        "located": cell.located,
    }


if __name__ == "__main__":
    sys.exit(main())
