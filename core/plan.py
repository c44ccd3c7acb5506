"""What is asked for becomes tasks: one cell to run each, in the order of specs and checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import registry
from .checks import CHECKS
from .errors import SpecError, nearest
from .noise import generator
from .rules import DTYPES
from .spec import Hyperparameters, Spec
from .technique import Technique

PRECISIONS = ("float64", "float32")
OF_WEIGHTS = ("training", "round_trip", "file_round_trip")


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
    generator(seed, "plan")  # a wrong seed is an error of the request, not of every cell
    wanted = _listed(checks, (*CHECKS, *DTYPES), "check")
    precisions = _listed(dtypes, PRECISIONS, "dtype")
    tasks = [
        Task(label, spec, check, dtype, seed)
        for label, spec in _specs(names)
        for check, allowed in (_techniques() if isinstance(spec, Technique) else _architectures(spec))
        for dtype in allowed
        if check in wanted and dtype in precisions
    ]
    if not tasks:
        raise SpecError(f"none of the checks {', '.join(wanted)} applies to these names in {', '.join(precisions)}")
    return tasks


def _architectures(spec: Hyperparameters) -> list[tuple[str, tuple[str, ...]]]:
    """The checks of a network; without weights there is nothing to train, to carry over or to write down."""
    assert isinstance(spec, Spec)
    without = () if spec.weights() else OF_WEIGHTS
    if not spec.generates:
        without = (*without, "generation")
    return [(check, dtypes) for check, (_, dtypes) in CHECKS.items() if check not in without]


def _techniques() -> list[tuple[str, tuple[str, ...]]]:
    return list(DTYPES.items())


def _listed(given: Any, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    """The words that were asked for, all of them known; None is all."""
    if given is None:
        return tuple(dict.fromkeys(known))
    words = _tuple(given, f"{what}s")
    for word in words:
        if word not in known:
            hint = nearest(str(word), known) or f"; there are {', '.join(dict.fromkeys(known))}"
            raise SpecError(f"there is no {what} {word!r}{hint}")
    return words


def _tuple(given: Any, what: str) -> tuple[Any, ...]:
    if isinstance(given, str | Hyperparameters):
        return (given,)
    if not isinstance(given, Iterable):
        raise SpecError(f"{what} must be a name or a list of names, not {given!r}")
    return tuple(given)


def _specs(names: Any) -> Iterator[tuple[str, Hyperparameters]]:
    """Each spec once, with a label of its own."""
    labels: dict[str, Hyperparameters] = {}
    every = (*registry.architectures(), *registry.techniques())
    for name in every if names is None else _tuple(names, "names"):
        if isinstance(name, Hyperparameters):
            found = {name.name: name}
        else:
            registry.make(name)
            found = {preset: registry.make(preset) for preset in registry.checked(name)}
        for label, spec in found.items():
            same = [other for other in labels if other.partition(" #")[0] == label]
            if all(labels[other] != spec for other in same):
                labels[f"{label} #{len(same) + 1}" if same else label] = spec
    yield from labels.items()
