"""Finds specs, presets and techniques: one file each, by scanning the folders; third parties by entry point.

An entry point in the group `diglot.specs` names a package laid out like this one: `core/architectures`,
`core/techniques`, and the same files in `torch_impl` and `keras_impl`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
from typing import Any

from . import field
from .errors import SpecError, nearest
from .spec import Hyperparameters, Spec
from .technique import Technique

GROUP = "diglot.specs"
FOLDERS = ("architectures", "techniques")


def packages() -> list[str]:
    """The packages that hold specs: this one, and those of third parties."""
    own = __name__.rpartition(".")[0]
    theirs = [f"{entry.value}.core" for entry in importlib.metadata.entry_points(group=GROUP)]
    return [own, *theirs]


def _classes(package: str, folder: str) -> dict[str, type[Hyperparameters]]:
    if importlib.util.find_spec(f"{package}.{folder}") is None:
        return {}
    found: dict[str, type[Hyperparameters]] = {}
    for info in pkgutil.iter_modules(importlib.import_module(f"{package}.{folder}").__path__):
        module = importlib.import_module(f"{package}.{folder}.{info.name}")
        own = [
            item
            for _, item in inspect.getmembers(module, inspect.isclass)
            if issubclass(item, Hyperparameters) and item.__module__ == module.__name__
        ]
        if len(own) != 1:
            raise SpecError(f"{module.__name__} must define exactly one spec, and defines {len(own)}")
        found[info.name] = own[0]
    return found


@functools.cache
def classes() -> dict[str, type[Hyperparameters]]:
    """Every spec class by name. Raises SpecError where two packages use one name."""
    found: dict[str, type[Hyperparameters]] = {}
    for package in packages():
        for folder in FOLDERS:
            for name, spec in _classes(package, folder).items():
                if name in found:
                    raise SpecError(f"{name} is defined twice, in {found[name].__module__} and in {spec.__module__}")
                found[name] = spec
    return found


@functools.cache
def presets() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every preset by name, with the name of its spec and its fields. Raises SpecError where a name is used twice."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, spec in classes().items():
        for preset, fields in spec.PRESETS.items():
            if preset in found or preset in classes():
                raise SpecError(f"the preset {preset} of {name} has a name that is in use")
            found[preset] = (name, fields)
    return found


def make(name: str, /, **overrides: Any) -> Any:
    """The spec or technique of this name, or of this preset, with any field overridden.

    Raises SpecError for an unknown name (with the nearest ones), an unknown field or a value against its rule.
    """
    if not isinstance(name, str):
        raise SpecError(f"a spec is asked for by its name, a string, not by {name!r}")
    if name not in classes() and name not in presets():
        known = [*classes(), *presets()]
        hint = nearest(name, known) or "; `diglot list` shows what there is"
        raise SpecError(f"there is no architecture, preset or technique {name!r}{hint}")
    owner, fields = presets().get(name, (name, {}))
    spec = classes()[owner]
    field.unknown(spec, name, overrides)
    return spec(**{**fields, **overrides})


def architectures() -> tuple[str, ...]:
    """The names of the architectures."""
    return tuple(name for name, spec in classes().items() if issubclass(spec, Spec))


def techniques() -> tuple[str, ...]:
    """The names of the techniques."""
    return tuple(name for name, spec in classes().items() if issubclass(spec, Technique))


def checked(name: str) -> tuple[str, ...]:
    """The presets that stand for a spec in a check: its small ones. A preset, or a spec without any, is itself."""
    spec = classes().get(name)
    return spec.CHECKED or (name,) if spec is not None else (name,)


def sibling(spec: Hyperparameters | type[Hyperparameters], side: str) -> str:
    """The module of a spec's implementation on a side: the same path in that side's folder."""
    package, _, path = (spec if isinstance(spec, type) else type(spec)).__module__.rpartition(".core.")
    return f"{package}.{side}_impl.{path}"
