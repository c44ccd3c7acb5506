"""`diglot convert`: the plan, how far it has got, and a line that says what was written."""

from __future__ import annotations

import ast
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from . import spec as named
from .core.convert import mapping_of, plan, told_of
from .core.errors import SpecError
from .core.files.conversion import Conversion


class Terminated(BaseException):
    """The signal to end, as what lets everything be put away."""


def run_convert(
    src: str,
    dst: Path,
    spec: str | None,
    source: str | None,
    fields: list[str],
    weight_map: Path | None = None,
    max_shard_size: str | None = None,
    dry_run: bool = False,
    force: bool = False,
) -> int:
    """Convert and print, or print what would be done. Returns the exit status: 130 or 143 for an interruption."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        _convert(src, dst, spec, source, fields, weight_map, max_shard_size, dry_run, force)
    except (KeyboardInterrupt, Terminated) as error:
        print(f"diglot: interrupted; {dst} was not written", file=sys.stderr)
        return 143 if isinstance(error, Terminated) else 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _convert(
    src: str,
    dst: Path,
    spec: str | None,
    source: str | None,
    fields: list[str],
    weight_map: Path | None,
    max_shard_size: str | None,
    dry_run: bool,
    force: bool,
) -> None:
    if fields and spec is None:
        raise SpecError("--set changes a field of a spec, so it needs --spec NAME")
    chosen = None if spec is None else named(spec, **dict(field(text) for text in fields))
    console = Console(stderr=True)
    with console.status("reading"):
        found = plan(src, dst, chosen, source, mapping_of(weight_map), max_shard_size)
    found.check(force)
    if dry_run:
        _show(found, src)
        return
    spoiled = _written(found, console)
    print(f"wrote {_what(found)}")
    for note in found.notes + ([told_of(spoiled)] if spoiled else []):
        print(f"diglot: {note}", file=sys.stderr)


def _written(found: Conversion, console: Console) -> list[str]:
    if not console.is_terminal or not found.tensors:
        with console.status("converting"):
            return found.write()
    columns = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(each.nbytes for each in found.tensors))
        return found.write(lambda name, done: progress.update(task, advance=done, description=name))


def _what(found: Conversion) -> str:
    if found.spec is not None:
        spec = found.spec
        text = f"{spec.name}, {len(spec.weights())} weights, {spec.parameter_count():,} parameters"
    else:
        count = len(found.tensors)
        text = f"{count:,} tensor{'s'[: count != 1]}, {sum(each.nbytes for each in found.tensors):,} bytes"
    paths = found.files.paths if found.files else [found.path]
    return f"{paths[-1]}: {text}" + (f" in {len(paths) - 1} shard{'s'[: len(paths) != 2]}" if len(paths) > 1 else "")


def _show(found: Conversion, src: str) -> None:
    """Print the plan: every tensor with where it comes from, its shape, how it is turned, its kind and its size."""
    if not found.tensors:
        print(f"would write {_what(found)}, by its framework and as a whole")
        return
    assert found.files is not None
    console = Console() if sys.stdout.isatty() else Console(width=200)
    for file in found.files.files:
        table = Table(
            "from", "to", "shape", "axes", "numbers", "bytes", title=f"{src} → {file.path}", title_justify="left"
        )
        for each in file.tensors:
            shape = " ".join(map(str, each.shape)) or "scalar"
            table.add_row(
                ", ".join(each.sources), each.name, shape, each.how or "as they are", each.code, f"{each.nbytes:,}"
            )
        table.add_section()
        table.add_row(
            "", f"{len(file.tensors):,} tensor{'s'[: len(file.tensors) != 1]}", "", "", "", f"{file.nbytes:,}"
        )
        console.print(table)
    for note in found.notes:
        print(note)
    print(f"would write {_what(found)}")


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def field(text: str) -> tuple[str, Any]:
    """`num_classes=10` as a name and a value. What is no Python literal is text."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise SpecError(f"--set takes FIELD=VALUE, such as num_classes=10, not {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
