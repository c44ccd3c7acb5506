"""How far a training is, on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Tell = Callable[[int, str], None]


@contextlib.contextmanager
def told(what: str, total: int, shown: bool) -> Iterator[Tell]:
    """A bar on standard error, if that is a terminal: it is told how many batches are done, and what to say of them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda done, text: progress.update(bar, completed=done, description=f"{what} {text}")
