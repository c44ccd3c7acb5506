"""`diglot list` and `diglot show`: what there is, read from specs and source files. No framework is imported."""

from __future__ import annotations

import importlib.util
import inspect
import io
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table

from .core import registry
from .core.checkpoint import replacing
from .core.spec import Hyperparameters, Spec

TITLES = {"torch": "PyTorch", "keras": "Keras"}


def show_list() -> None:
    """Architectures with the parameter count of each preset, then techniques."""
    console = Console()
    networks = Table("architecture", "preset", "parameters", title="Architectures", title_justify="left")
    networks.columns[2].justify = "right"
    for name in registry.architectures():
        for label, preset in (("(defaults)", name), *((preset, preset) for preset in registry.classes()[name].PRESETS)):
            spec: Spec = registry.make(preset)
            networks.add_row(name if label == "(defaults)" else "", label, f"{spec.parameter_count():,}")
    rules = Table("technique", "presets", "what it is", title="Techniques", title_justify="left")
    for name in registry.techniques():
        kind = registry.classes()[name]
        rules.add_row(name, ", ".join(kind.PRESETS), (inspect.getdoc(kind) or "").partition("\n")[0])
    console.print(networks, rules)


def show_one(name: str, html: Path | None) -> None:
    """A spec's documentation and fields, and both siblings side by side."""
    spec: Hyperparameters = registry.make(name)
    console = Console(record=html is not None, width=180 if html else None, file=io.StringIO() if html else None)
    console.print(page(name, spec, console.width, "friendly" if html is not None else "ansi_dark"))
    if html is not None:
        with replacing(html) as file:
            file.write(console.export_html(inline_styles=True).encode())


def page(name: str, spec: Hyperparameters, width: int, theme: str) -> Group:
    """The page of a spec. Below 100 columns the siblings stand one above the other."""
    from rich.columns import Columns
    from rich.panel import Panel

    fields = Table("field", "value", box=None, pad_edge=False)
    for field, value in spec.fields().items():
        fields.add_row(field, repr(value))
    heading = f"{name}: {spec.parameter_count():,} parameters" if isinstance(spec, Spec) else name
    text = Group(inspect.getdoc(type(spec)) or "", "", fields)
    siblings = [_sibling(spec, side, theme) for side in TITLES]
    beside = Table.grid(expand=True, padding=(0, 1)) if width >= 100 else Columns(siblings)
    if isinstance(beside, Table):
        beside.add_column(ratio=1)
        beside.add_column(ratio=1)
        beside.add_row(*siblings)
    return Group(Panel(text, title=heading, title_align="left"), beside)


def _sibling(spec: Hyperparameters, side: str, theme: str) -> RenderableType:
    from rich.panel import Panel
    from rich.syntax import Syntax

    path = source_file(spec, side)
    code = Syntax(path.read_text(encoding="utf-8"), "python", theme=theme, word_wrap=True, background_color="default")
    return Panel(
        code, title=f"{TITLES[side]}: {path.parent.parent.name}/{path.parent.name}/{path.name}", title_align="left"
    )


def source_file(spec: Hyperparameters, side: str) -> Path:
    """The file of a spec's implementation on a side, found without importing it."""
    module = registry.sibling(spec, side)
    package, _, path = module.partition(f".{side}_impl.")
    found = importlib.util.find_spec(f"{package}.{side}_impl")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0], *path.split(".")).with_suffix(".py")
