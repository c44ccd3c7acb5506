"""`diglot techniques`: what there is, and where the frameworks' own classes differ. No framework is imported."""

from __future__ import annotations

import inspect

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from .core import registry, traps
from .core.backend import SIDES
from .core.errors import SpecError, nearest
from .listing import TITLES

ABSENT = "none of its own"


def show_techniques(name: str | None) -> None:
    """Every technique in a table, or one in full.

    Raises SpecError for a name that is no technique.
    """
    console = Console()
    if name is None:
        console.print(table())
        return
    owner, _ = registry.presets().get(name, (name, {}))
    if owner not in registry.techniques():
        hint = nearest(name, registry.techniques()) or "; `diglot techniques` lists them"
        raise SpecError(f"there is no technique {name!r}{hint}")
    for part in full(name, owner):
        console.print(part, highlight=False)


def table() -> Table:
    """One row for each technique."""
    rows = Table("technique", *TITLES.values(), "defaults that differ, and ours", show_lines=True)
    for name in registry.techniques():
        own = traps.natives(name)
        found = "\n".join(escape(str(trap)) for trap in traps.of(name))
        title = f"[bold]{name}[/bold]\n{escape(traps.summary(name))}"
        rows.add_row(title, *(own.get(side, "").rpartition(".")[2] for side in SIDES), found)
    return rows


def full(name: str, owner: str) -> list[Padding | Table | str]:
    """What is known of one technique: its documentation, its values, the native classes and their defaults."""
    spec, own = registry.make(name), traps.natives(owner)
    fields = Table("field", "value", *(f"{title}'s argument and default" for title in TITLES.values()))
    different = {trap.field: trap.native for trap in traps.of(owner)}
    for field, value in spec.fields().items():
        sides = [" = ".join(map(str, different[field][side])) if field in different else "" for side in SIDES]
        fields.add_row(field, escape(repr(value)), *map(escape, sides))
    natives = "\n".join(f"{TITLES[side]}: {own.get(side, ABSENT)}" for side in SIDES)
    return [f"[bold]{name}[/bold]", Padding(escape(inspect.getdoc(type(spec)) or ""), (0, 0, 1, 2)), natives, fields]
