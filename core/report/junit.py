"""A report as JUnit XML: one test suite per spec, one test case per check and dtype."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..results import Cell, Report
from ..verdict import Verdict
from . import wording
from .printable import one_line


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _totals(cells: Iterable[Cell]) -> dict[str, str]:
    verdicts = [cell.verdict for cell in cells]
    errors = verdicts.count(Verdict.ERROR)
    return {
        "tests": str(len(verdicts)),
        "failures": str(len(verdicts) - errors - verdicts.count(Verdict.EQUAL)),
        "errors": str(errors),
        "skipped": "0",
    }


def _case(suite: Element, cell: Cell) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=one_line(f"{cell.kind}.{cell.spec}"),
        name=one_line(f"{cell.check} {cell.dtype}"),
        time=_seconds(cell.seconds),
    )
    if cell.verdict is Verdict.EQUAL:
        return
    tag = "error" if cell.verdict is Verdict.ERROR else "failure"
    size = "" if cell.verdict is Verdict.ERROR else f"ratio {wording.number(cell.ratio)}"
    details = "; ".join(part for part in (wording.located(cell), size) if part)
    message = f"{wording.cause(cell)} ({details})" if details else wording.cause(cell)
    SubElement(case, tag, type=cell.verdict.value, message=message).text = f"{wording.title(cell)}: {message}"


def _nothing(root: Element) -> None:
    suite = SubElement(root, "testsuite", name="diglot", tests="1", failures="1", errors="0", skipped="0", time="0.000")
    case = SubElement(suite, "testcase", classname="diglot", name="cells", time="0.000")
    SubElement(case, "failure", type="different", message="The report has no cells, so nothing was compared.")
    root.attrib.update(tests="1", failures="1")


def render(report: Report) -> str:
    """The report as JUnit XML. An empty report holds one failure, since a reader would take no test for a pass."""
    root = Element("testsuites", {"name": "diglot", **_totals(report.cells), "time": _seconds(report.seconds)})
    suites: dict[tuple[str, str], list[Cell]] = {}
    for cell in report.cells:
        suites.setdefault((cell.kind, cell.spec), []).append(cell)
    for (_, spec), cells in suites.items():
        time = _seconds(sum(cell.seconds for cell in cells))
        suite = SubElement(root, "testsuite", {"name": one_line(spec), **_totals(cells), "time": time})
        properties = SubElement(suite, "properties")
        for name, value in {"seed": str(report.seed), **report.versions}.items():
            SubElement(properties, "property", name=one_line(name), value=one_line(value))
        for cell in cells:
            _case(suite, cell)
    if not suites:
        _nothing(root)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'
