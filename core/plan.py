"""What is asked for becomes tasks: one cell to run each, in the order of specs and checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import registry
from .checks import CHECKS
from .errors import SpecError, nearest
from .rules import DTYPES
from .spec import Hyperparameters
from .technique import Technique

PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Task:
    """One cell to run."""

    label: str
    spec: Hyperparameters
    check: str
    dtype: str
    seed: int

    def key(self) -> tuple[str, str, str]:
        """What identifies the cell within a run."""
        return self.label, self.check, self.dtype


def plan(
    names: str | Hyperparameters | Sequence[str | Hyperparameters] | None = None,
    checks: str | Sequence[str] | None = None,
    dtypes: str | Sequence[str] = PRECISIONS,
    seed: int = 0,
) -> list[Task]:
    """The cells of a run. A name is a spec (its small presets stand for it), a preset or a technique; None is all.

    Raises SpecError for an unknown name, check or dtype, and where nothing is left to run.
    """
    known = (*CHECKS, *DTYPES)
    wanted, precisions = _listed(checks), _listed(dtypes) or PRECISIONS
    for given, allowed, what in ((wanted or (), known, "check"), (precisions, PRECISIONS, "dtype")):
        for name in given:
            if name not in allowed:
                hint = nearest(name, allowed) or f"; there are {', '.join(dict.fromkeys(allowed))}"
                raise SpecError(f"there is no {what} {name!r}{hint}")
    tasks = [
        Task(label, spec, check, dtype, seed)
        for label, spec in _specs(names)
        for check, allowed in (_techniques() if isinstance(spec, Technique) else _architectures())
        for dtype in allowed
        if (wanted is None or check in wanted) and dtype in precisions
    ]
    if not tasks:
        raise SpecError(
            f"none of the checks {', '.join(wanted or known)} applies to these names in {', '.join(precisions)}"
        )
    return tasks


def _architectures() -> list[tuple[str, tuple[str, ...]]]:
    return [(check, dtypes) for check, (_, dtypes) in CHECKS.items()]


def _techniques() -> list[tuple[str, tuple[str, ...]]]:
    return list(DTYPES.items())


def _listed(given: Any) -> tuple[Any, ...] | None:
    if given is None:
        return None
    return (given,) if isinstance(given, str | Hyperparameters) else tuple(given)


def _specs(names: Any) -> Iterator[tuple[str, Hyperparameters]]:
    for name in dict.fromkeys(_listed(names) or (*registry.architectures(), *registry.techniques())):
        if isinstance(name, Hyperparameters):
            yield name.name, name
        else:
            registry.make(name)
            for preset in registry.checked(name):
                yield preset, registry.make(preset)
