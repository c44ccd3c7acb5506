"""Same name, different mathematics: where the frameworks' own classes differ by default, and what is set here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import registry
from .backend import SIDES
from .spec import Hyperparameters
from .technique import Technique

HEADING = "Frameworks differ:"


@dataclass(frozen=True)
class Trap:
    """One default that differs: by side, the native argument and its default; and the value that a spec sets."""

    technique: str
    field: str
    native: dict[str, tuple[str, Any]]
    ours: Any

    def __str__(self) -> str:
        sides = [f"{argument} {_plain(default)}" for argument, default in self.native.values()]
        return f"{' / '.join(sides)}; ours {_plain(self.ours)}"


def traps() -> list[Trap]:
    """Every default that differs between the frameworks' own classes of one technique."""
    return [trap for name in registry.techniques() for trap in of(name)]


def of(name: str) -> list[Trap]:
    """The defaults that differ for one technique."""
    spec = registry.make(name)
    return [
        Trap(name, field, dict(zip(SIDES, native, strict=True)), spec.fields()[field])
        for field, native in type(spec).DEFAULTS.items()
    ]


def natives(name: str) -> dict[str, str]:
    """Each framework's own class of a technique, by side; a side that has none is left out."""
    kind = registry.classes()[name]
    return dict(kind.NATIVE) if issubclass(kind, Technique) else {}


def summary(name: str) -> str:
    """The first line of a spec's documentation."""
    return (inspect.getdoc(registry.classes()[name]) or "").partition("\n")[0]


def differences(kind: type[Hyperparameters]) -> str:
    """What a spec's documentation says under `Frameworks differ:`, as one line; empty where it says nothing."""
    text = inspect.getdoc(kind) or ""
    found = re.search(rf"^{HEADING}(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""


def page(errors: dict[str, float]) -> Iterator[str]:
    """The lines of docs/traps.md. `errors` is what a naive port comes to, relative to the largest element."""
    yield "# Same name, different mathematics"
    yield ""
    yield "Written by `python -m parity_tests.traps --write`; `parity_tests/test_traps.py` holds it against the code."
    yield ""
    yield (
        "A naive port takes the other framework's class of the same name, with the same rate and the other arguments "
        "that have to be given, and its own defaults for the rest. Its error is run here, in float64: the largest "
        "difference over 20 steps of an optimizer or the steps of a schedule, or of a loss or a layer, relative to "
        "the largest element. Diglot's siblings agree to rounding in each of these. "
        "Adafactor's gradients are of size 1e-14, where its epsilons count. Where a default differs, the "
        "table gives PyTorch's argument and value, Keras's, and what the spec sets by default on both sides."
    )
    yield ""
    yield "| technique | PyTorch | Keras | defaults that differ | error of the naive port |"
    yield "|---|---|---|---|---|"
    for name in registry.techniques():
        classes, different = natives(name), of(name)
        if classes:
            own = [f"`{classes[side]}`" if side in classes else "none" for side in SIDES]
            listed = "<br>".join(f"`{trap}`" for trap in different) or "none"
            yield f"| {name} | {' | '.join(own)} | {listed} | {told(errors[name]) if name in errors else 'not run'} |"
    yield ""
    yield "## What differs, technique by technique"
    for name in registry.techniques():
        if text := differences(registry.classes()[name]):
            yield ""
            yield f"**{name}**: {text}"


def told(error: float) -> str:
    """An error as the page gives it."""
    return f"{error:.0e}" if error else "rounding"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
