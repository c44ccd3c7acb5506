"""What a comparison of two models of a user's own found, in the rows and sentences that all formats share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .. import compare, verdict
from ..compare import Comparison
from ..port.findings import Finding
from ..port.mapping import WeightMapping
from ..results import Report
from ..verdict import Verdict
from . import wording
from .printable import one_line

COLUMNS = ("PyTorch", "Keras", "what it is", "accumulated", "alone, forward", "alone, backward")
LEGEND = "digits that agree · ratio to the noise floor; accumulated: in the whole models; alone: on PyTorch's input"
AROUND = 3  # rows shown before and after one that is marked, where a table has to be short
LOCATED, FIRST = "◀ here", "◁ first"
PASSING = "passes it on"


@dataclass(frozen=True)
class Row:
    """One pair of steps. `mark` is set at the first that differs in the models' own run, and at the one at fault.

    A measure is `digits · ratio`, or a dash where nothing was measured; `verdict` is the most severe of them. What is
    `passing` agrees by itself, and differs only by what reaches it.
    """

    torch: str
    keras: str
    role: str
    accumulated: str
    forward: str
    backward: str
    verdict: Verdict
    mark: str = ""
    passing: bool = False

    @property
    def state(self) -> str:
        """The verdict in words."""
        return PASSING if self.passing else self.verdict.value

    def cells(self) -> tuple[str, ...]:
        """What stands under COLUMNS."""
        return self.torch, self.keras, self.role, self.accumulated, self.forward, self.backward


def rows(findings: Sequence[Finding]) -> list[Row]:
    """Every pair of steps, in order."""
    first = next(
        (item for item in findings if item.accumulated and item.accumulated.verdict is not Verdict.EQUAL), None
    )
    return [_row(item, LOCATED if item.located else FIRST if item is first else "") for item in findings]


def _row(item: Finding, mark: str) -> Row:
    forward = [each for each in item.local if each.name == "output"]
    backward = [each for each in item.local if each.name != "output"]
    measured = [*([item.accumulated] if item.accumulated else []), *item.local]
    severest = verdict.worst(each.verdict for each in measured) if measured else Verdict.EQUAL
    return Row(
        one_line(item.torch) or wording.ABSENT,
        one_line(item.keras) or wording.ABSENT,
        one_line(item.role).replace("_", " "),
        measure([item.accumulated] if item.accumulated else []),
        measure(forward),
        measure(backward),
        Verdict.DIFFERENT if item.located and severest is Verdict.EQUAL else severest,
        mark,
        severest is not Verdict.EQUAL and not mark and bool(forward) and _agree(item.local),
    )


def _agree(found: Sequence[Comparison]) -> bool:
    return all(each.verdict is Verdict.EQUAL for each in found)


def measure(found: Sequence[Comparison]) -> str:
    """The worst of some comparisons: the digits that agree and the ratio to the noise floor."""
    worst = compare.worst(found)
    if worst is None:
        return wording.ABSENT
    if worst.complaint:
        return worst.verdict.value
    return "exact" if worst.digits >= 17 and worst.ratio == 0 else f"{worst.digits:.1f} · {wording.number(worst.ratio)}"


def near(found: Sequence[Row]) -> list[Row | None]:
    """The rows that are marked and those around them; None stands for rows left out."""
    marked = [place for place, row in enumerate(found) if row.mark]
    kept: list[Row | None] = []
    for place, row in enumerate(found):
        if any(abs(place - other) <= AROUND for other in marked):
            kept.append(row)
        elif not kept or kept[-1] is not None:
            kept.append(None)
    return kept


def faults(report: Report) -> list[tuple[str, str]]:
    """Where something is wrong, with both names where both sides have one, and why; each once, in the checks' order."""
    found = [cell for cell in report.cells if cell.verdict is not Verdict.EQUAL]
    return list(dict.fromkeys((_place(report, cell.located or ""), wording.cause(cell)) for cell in found))


def _place(report: Report, name: str) -> str:
    item = next((item for item in report.findings if name and name in (item.torch, item.keras)), None)
    if item is None:
        return f"`{one_line(name)}`" if name else ""
    role = "" if item.role in ("between", "custom", "block") else f" ({one_line(item.role).replace('_', ' ')})"
    both = zip(compare.SIDES, (item.torch, item.keras), strict=True)
    return " and ".join(f"{side}'s `{one_line(own)}`" for side, own in both if own) + role


def matched(report: Report) -> str:
    """How many of PyTorch's tensors were matched, and how."""
    total = 0 if report.mapping is None else len(tensors(report.mapping))
    return f"{total} {'weight' if total == 1 else 'weights'} {ways(report)}" if total else ways(report)


def ways(report: Report) -> str:
    """How PyTorch's tensors were matched: "matched: 3 by name, 2 by their order; 1 ignored"."""
    if report.mapping is None:
        return ""
    words = {"content": "by what they hold", "name": "by name", "order": "by their order", "map": "by the map"}
    found = tensors(report.mapping)
    counts = Counter(found.values())
    several = [f"{count} {words.get(how, how)}" for how, count in counts.most_common()]
    ignored = sum(len(names) for names in report.mapping.ignored.values())
    told = f"matched: {', '.join(several)}" if found else "no weights"
    if len(counts) == 1:
        told = f"matched {words[next(iter(counts))]}"
    return f"{told}; {ignored} ignored" if ignored else told


def tensors(mapping: WeightMapping) -> dict[str, str]:
    """PyTorch's tensors that were matched, whole or in parts, and how."""
    found: dict[str, str] = {}
    for match in mapping.matches:
        for piece in match.torch:
            found.setdefault(piece.tensor, match.how)
    return found


def weights(mapping: WeightMapping) -> Iterator[tuple[str, str, str]]:
    """PyTorch's tensors, Keras's, and how they were matched, a row for each pair of tensors."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for match in mapping.matches:
        names = [" + ".join(dict.fromkeys(piece.tensor for piece in pieces)) for pieces in (match.torch, match.keras)]
        found.setdefault((names[0], names[1]), {})[match.how] = None
    yield from ((torch, keras, ", ".join(how)) for (torch, keras), how in found.items())


def lines(report: Report) -> Iterator[str]:
    """The diagnosis as plain text: the verdict, the layer, the cause, and the table around them."""
    yield f"{wording.holds(report)} ({wording.tally(report)})"
    for place, cause in faults(report):
        yield f"at {place}: {cause}" if place else cause
    yield ""
    for cell in report.cells:
        size = f"ratio {wording.ratio(cell):<9} worst {one_line(cell.worst)}" if cell.worst else ""
        yield f"{cell.check:<10} {wording.outcome(cell):<20} {size}".rstrip()
    found = rows(report.findings)
    if any(row.mark for row in found):
        yield ""
        yield from _table(near(found))
        yield f"({LEGEND})"
    yield from ("", *(f"note: {one_line(note)}" for note in report.notes)) if report.notes else ()


def _table(found: Sequence[Row | None]) -> Iterator[str]:
    texts = [COLUMNS, *(row.cells() if row else ("…",) for row in found)]
    widths = [max(len(text[column]) for text in texts if column < len(text)) for column in range(len(COLUMNS))]
    marks = ["", *(row.mark if row else "" for row in found)]
    for text, mark in zip(texts, marks, strict=True):
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(text, widths, strict=False)), mark]).rstrip()
