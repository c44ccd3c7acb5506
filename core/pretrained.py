"""Weights of other libraries into the canonical state and back: from live models, files, addresses and hub names."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from . import backend, foreign
from .errors import CheckpointError, SpecError, nearest
from .source import Source
from .spec import Spec
from .state import State, fit


def load(spec: Spec, origin: Any, source: str) -> State:
    """The canonical state out of a library's live model.

    Raises SpecError for an unknown source and StateError where the weights do not fit the spec.
    """
    table = source_of(spec, source)
    return foreign.to_canonical(spec, table, arrays_of(origin, table), f"the {source} weights")


def export(spec: Spec, state: Mapping[str, Any], target: Any, source: str) -> None:
    """Write a canonical state into a library's live model.

    Raises StateError where state, spec and model do not fit; the model is then as before.
    """
    table = source_of(spec, source)
    fit(spec, state)
    shapes = {name: tuple(array.shape) for name, array in arrays_of(target, table).items()}
    names = foreign.match(spec, table, shapes, f"the weights of the {source} model")
    arrays = foreign.from_canonical(spec, table, state)
    side_of(table).write_into(target, {names[name]: array for name, array in arrays.items()})


def source_of(spec: Spec, name: str) -> Source:
    """The table of a source. Raises SpecError that says which ones the spec has."""
    if not isinstance(name, str) or name not in spec.SOURCES:
        known = f"; it has {', '.join(spec.SOURCES)}" if spec.SOURCES else "; it has none"
        raise SpecError(f"{spec.name} has no source {name!r}{nearest(str(name), spec.SOURCES) or known}")
    return spec.SOURCES[name]


def side_of(source: Source) -> Any:
    """The reader and writer of a source's framework. Raises MissingFrameworkError that names the extra to install."""
    backend.load(source.side)
    return importlib.import_module(f"{__name__.removesuffix('.core.pretrained')}.{source.side}_impl.foreign")


def arrays_of(origin: Any, source: Source) -> Any:
    """The arrays of a live model."""
    reader = side_of(source)
    if not reader.is_live(origin):
        raise CheckpointError(f"{type(origin).__name__} is not a model of {source.side}")
    return reader.arrays_of(origin)
