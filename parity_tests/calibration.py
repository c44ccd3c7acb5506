"""How far correct code and planted bugs are from the bounds: `python -m parity_tests.calibration` writes the page.

Random valid specs of every architecture are checked, each with a seed of its own; an interrupted run goes on where it
was with `--resume`. The planted bugs' ratios are those that `python -m parity_tests.planted --write` recorded.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from diglot.core import calibration, checkpoint, registry, runner, verdict
from diglot.core.noise import generator
from diglot.core.results import Cell

ROOT = Path(__file__).parents[1]
JOURNAL = ROOT / "reports" / "calibration"
CHECKS = ("forward", "forward_training", "gradients", "training", "generation", "accuracy")


def tasks(count: int) -> list[runner.Task]:
    """The checks of `count` random specs of each architecture."""
    result = []
    for name in registry.architectures():
        for index in range(count):
            spec = registry.classes()[name].sample(generator(index, f"calibration {name}"))
            for task in runner.plan(spec, CHECKS, seed=index):
                result.append(runner.Task(f"{name} {index}", spec, task.check, task.dtype, index))
    return result


def quantiles(ratios: Iterable[float]) -> str:
    """Median, 90 and 99 percent and maximum, as cells of a table."""
    values = np.quantile(list(ratios), [0.5, 0.9, 0.99, 1.0])
    return " | ".join(f"{value:.2g}" for value in values)


def rows(cells: list[Cell]) -> str:
    """A row of the table per architecture and check."""
    lines = []
    for name in registry.architectures():
        for check in CHECKS:
            ratios = [cell.ratio for cell in cells if cell.spec.split()[0] == name and cell.check == check]
            if ratios:
                lines.append(f"| {name} | {check} | {len(ratios)} | {quantiles(ratios)} |")
    return "\n".join(lines)


def histogram(correct: list[float], planted: list[float]) -> str:
    """Both distributions by power of ten, as text: one line per decade."""

    def counted(values: list[float]) -> dict[int, int]:
        decades = [math.floor(math.log10(value)) if value > 0 else -99 for value in values]
        return {decade: decades.count(decade) for decade in decades}

    right, wrong = counted(correct), counted(planted)
    exact = right.pop(-99, 0)
    scale = 40 / max([*right.values(), *wrong.values()])
    lines = [f"exactly equal: {exact} cells"]
    for decade in range(min(right), max(wrong) + 1):
        one, other = right.get(decade, 0), wrong.get(decade, 0)
        bars = "#" * math.ceil(one * scale) + "!" * math.ceil(other * scale)
        text = " ".join(filter(None, [f"{one} correct" if one else "", f"{other} planted" if other else ""]))
        mark = "  <- the bound" if decade == round(math.log10(verdict.BOUND)) else ""
        lines.append(f"1e{decade:+03d}  {bars:40s} {text}{mark}")
    return "\n".join(lines)


def page(cells: list[Cell], command: str) -> str:
    """The whole page, in Markdown."""
    found = json.loads(calibration.FILE.read_text(encoding="utf-8"))
    planted = [bug["ratio"] for bug in found["bugs"] if bug["ratio"] is not None]
    exact = len(found["bugs"]) - len(planted)
    correct = [cell.ratio for cell in cells if cell.dtype == "float64"]
    single = [cell.ratio for cell in cells if cell.dtype == "float32"]
    failed = [cell for cell in cells if cell.verdict != "equal"]
    worst = max((cell for cell in cells if cell.dtype == "float64"), key=lambda cell: cell.ratio)
    specs = len({cell.spec for cell in cells})
    mildest = found["mildest"]
    return f"""# How the bounds were calibrated

Written by `{command}` on {", ".join(f"{name} {number}" for name, number in runner.versions().items())}.
Planted bugs: `python -m parity_tests.planted --write`.

**Correct code.** {specs} random valid specs, {specs // len(registry.architectures())} of each architecture, each with a
seed, a state and data of its own; {len(correct)} float64 cells. `ratio` is the worst tensor's difference in measured
noise floors. Cells that were not equal: {len(failed)}.

| architecture | check | cells | median | 90% | 99% | worst |
|---|---|---|---|---|---|---|
{rows(cells)}

(`accuracy` is another figure: how many times larger one side's float32 error is than the other's.)

**Planted bugs.** {len(found["bugs"])} bugs; {exact} of them change a shape or a discrete value and have no ratio. The
mildest is "{mildest["name"]}", at {mildest["ratio"]:.2g} noise floors; the median is {np.median(planted):.1g}.

**Both, by power of ten of the ratio.**

```
{histogram(correct, planted)}
```

**The bounds**, in `core/verdict.py`:

- `BOUND = {verdict.BOUND:g}`: the worst correct cell is {worst.ratio:.2g} ({worst.spec}, {worst.check}, tensor
  `{worst.worst}`), {verdict.BOUND / worst.ratio:.0f} times below; the mildest planted bug is
  {mildest["ratio"] / verdict.BOUND:.1g} times above. The margin between the two is
  {mildest["ratio"] / worst.ratio:.1g}.
- `ACCURACY_BOUND = {verdict.ACCURACY_BOUND:g}`: the worst correct cell is {max(single):.2g}. A tensor beyond the bound
  is measured on two more batches, and its least ratio counts; that is why a cell may come close to the bound.
- `DOUBT`: a ratio between {verdict.DOUBT[0]:g} and {verdict.DOUBT[1]:g} is measured again with three more movements of
  each side, since a single movement can be small by luck.
"""


def main() -> None:
    """Run, write docs/calibration.md, and say the worst ratio."""
    parser = argparse.ArgumentParser(description="Calibrate the bounds on random specs.")
    parser.add_argument("--count", type=int, default=70, help="random specs of each architecture")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    done: list[Cell] = []

    def advance(cell: Cell) -> None:
        done.append(cell)
        if cell.verdict != "equal" or len(done) % 50 == 0:
            line = (len(done), cell.spec, cell.check, cell.verdict, f"{cell.ratio:.2g}", cell.cause or "")
            print(*line, flush=True)

    planned = tasks(options.count)
    report = runner.run(planned, workers=options.workers, folder=JOURNAL, resume=options.resume, progress=advance)
    with checkpoint.replacing(ROOT / "docs" / "calibration.md") as file:
        file.write(page(report.cells, f"python -m parity_tests.calibration --count {options.count}").encode())
    print(f"worst ratio {report.ratio:.3g} of {len(report.cells)} cells")


if __name__ == "__main__":
    main()
