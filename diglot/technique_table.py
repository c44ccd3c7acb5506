"""`diglot techniques`: what there is, and where the frameworks' own classes differ. No framework is imported."""

from __future__ import annotations

import inspect

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from .core import registry, traps
from .core.backend import SIDES
from .core.clipping import Clipping
from .core.errors import SpecError, nearest
from .core.loss import Loss
from .core.mixing import Mixing
from .core.monitored import Monitored
from .core.schedule import Schedule
from .core.technique import Optimizer, Technique
from .listing import TITLES

ABSENT = "none of its own"
KINDS: dict[str, type[Technique]] = {
    "optimizers": Optimizer,
    "schedules": Schedule,
    "losses": Loss,
    "clipping": Clipping,
    "mixing": Mixing,
    "by a metric": Monitored,
}
WIDE = 180


def show_techniques(name: str | None) -> None:
    """Every technique in a table, or one in full.

    Raises SpecError for a name that is no technique.
    """
    console = Console()
    if name is None:
        console.print(table(console.width))
        return
    owner, _ = registry.presets().get(name, (name, {}))
    if owner not in registry.techniques():
        hint = nearest(name, registry.techniques()) or "; `diglot techniques` lists them"
        raise SpecError(f"there is no technique {name!r}{hint}")
    for part in full(name, owner):
        console.print(part, highlight=False)


def table(width: int) -> Table:
    """One row for each technique, by their kinds; what it is, where the terminal is wide."""
    wide, others = width >= WIDE, set(registry.techniques())
    what = ["what it is"] if wide else []
    rows = Table("technique", *what, *TITLES.values(), "defaults that differ, and ours", box=box.SIMPLE_HEAD)
    rows.columns[0].no_wrap = True
    rows.caption = "`diglot techniques NAME` shows one in full"
    for title, kind in (*KINDS.items(), ("others", Technique)):
        names = sorted(name for name in others if issubclass(registry.classes()[name], kind))
        others -= set(names)
        rows.add_section()
        rows.add_row(f"[bold]{title}[/bold]")
        for name in names:
            own = traps.natives(name)
            found = "\n".join(escape(str(trap)) for trap in traps.of(name))
            said = [escape(traps.summary(name))] if wide else []
            rows.add_row(name, *said, *(own.get(side, "").rpartition(".")[2] for side in SIDES), found)
    return rows


def full(name: str, owner: str) -> list[Padding | Table | str]:
    """What is known of one technique: its documentation, its values, the native classes and their defaults."""
    spec, own = registry.make(name), traps.natives(owner)
    different = {trap.field: trap.native for trap in traps.of(owner)}
    titles = [f"{title}'s argument and default" for title in TITLES.values()] if different else []
    fields = Table("field", "value", *titles, caption="native defaults where they differ" if different else None)
    for field, value in spec.fields().items():
        sides = [" = ".join(map(str, different[field][side])) for side in SIDES] if field in different else []
        fields.add_row(field, escape(repr(value)), *map(escape, sides))
    natives = "\n".join(f"{TITLES[side]}: {own.get(side, ABSENT)}" for side in SIDES)
    return [f"[bold]{name}[/bold]", Padding(escape(inspect.getdoc(type(spec)) or ""), (0, 0, 1, 2)), natives, fields]
