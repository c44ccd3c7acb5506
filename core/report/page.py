"""A report as one self-contained HTML page."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from .. import verdict
from ..results import Report
from . import diagnosis, wording
from .matrix import matrices
from .printable import printable


def _clean(value: Any) -> Any:
    from markupsafe import Markup

    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(name: str) -> Any:
    from markupsafe import Markup

    return Markup("_<wbr>").join(printable(name).split("_"))


def _coded(text: str) -> Any:
    """A sentence whose names stand in backticks, with these as code."""
    from markupsafe import Markup, escape

    parts = printable(text).split("`")
    if not len(parts) % 2:  # a backtick without another
        return printable(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def render(report: Report) -> str:
    """The report as HTML, without scripts or anything to be fetched."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_clean, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(files(__package__).joinpath("page.html.j2").read_text("utf-8"))
    anchors = {id(cell): f"cell-{position}" for position, cell in enumerate(report.cells, 1)}
    return template.render(
        report=report,
        matrices=matrices(report),
        wording=wording,
        diagnosis=diagnosis,
        bounds=verdict,
        breakable=_breakable,
        coded=_coded,
        anchor=lambda cell: anchors[id(cell)],
    )
