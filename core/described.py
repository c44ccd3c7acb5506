"""Which spec a library's own configuration describes: that of a live model, of a folder, or behind a hub name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import foreign, pretrained, registry, settings, shards
from .errors import DiglotError, SpecError, nearest
from .source import Source, tables
from .spec import Spec


def spec_of(origin: Any, source: str, **fields: Any) -> Spec:
    """The spec that a configuration and the weights beside it are of, with any field overridden.

    Raises SpecError where there is no configuration or no spec for it, and CheckpointError for a bad file.
    """
    known = list(_described(source))
    sources = {name for kind in registry.classes().values() for name in getattr(kind, "SOURCES", ())}
    if source not in sources:
        raise SpecError(f"there is no source {source!r}{nearest(str(source), sources)}")
    if not known:
        raise SpecError(f"the weights of {source} do not say which network they are of; give a spec")
    with pretrained.arrays_of(None, pretrained.given(origin), known[0][1], source) as (arrays, label, config):
        if not config:
            raise SpecError(
                f"{label} have no {shards.CONFIG} beside them that says which network they are of; give a spec"
            )
        shapes = pretrained.shapes_in(arrays)
        reasons: list[DiglotError] = []
        for kind, table in known:
            for found in settings.fields_of(table, config) if settings.is_of(table, config) else ():
                try:
                    spec = kind(**found)
                    pretrained.source_of(spec, source)
                    foreign.match(spec, table, shapes, label)
                    return spec.replace(**fields)
                except DiglotError as error:
                    reasons.append(error)
    if reasons:
        raise reasons[0]
    model_type = config.get("model_type")
    raise SpecError(f"there is no spec for the model_type {model_type!r} of {label}")


def _described(source: str) -> Iterator[tuple[type[Spec], Source]]:
    """The specs and tables of a source whose networks come with a configuration."""
    for kind in registry.classes().values():
        if issubclass(kind, Spec) and source in kind.SOURCES:
            for table in tables(kind.SOURCES[source]):
                if table.settings:
                    yield kind, table
