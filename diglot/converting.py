"""`diglot convert`: one checkpoint, and a line that says what was written."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from rich.console import Console

from . import convert
from . import spec as named
from .core.errors import SpecError


def run_convert(src: str, dst: Path, spec: str | None, source: str | None, fields: list[str]) -> None:
    """Convert and print."""
    if fields and spec is None:
        raise SpecError("--set changes a field of a spec, so it needs --spec NAME")
    chosen = None if spec is None else named(spec, **dict(map(field, fields)))
    with Console(stderr=True).status("converting"):
        found = convert(src, dst, chosen, source)
    print(f"wrote {dst}: {found.name}, {len(found.weights())} weights, {found.parameter_count():,} parameters")


def field(text: str) -> tuple[str, Any]:
    """`num_classes=10` as a name and a value. What is no Python literal is text."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise SpecError(f"--set takes FIELD=VALUE, such as num_classes=10, not {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
