"""Which preset a set of foreign weights belongs to: by names and shapes, with a different number of classes at most."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import registry
from .errors import SpecError
from .foreign import Place, Shapes, is_left_out, named, places, shapes_of
from .source import Source
from .spec import Spec

REFINED = 8  # of the likeliest presets, it is asked whether their weights are these but for what FREE names
FREE = {"num_classes": ("class", "classes"), "in_channels": ("channel", "channels")}  # what a file alone can tell


@dataclass(frozen=True)
class Variant:
    """A preset whose weights a source names in the same way, and the share of names and shapes that are the same."""

    preset: str
    source: str
    changes: tuple[tuple[str, int], ...]
    share: float

    def __str__(self) -> str:
        words = [f"{value} {FREE[field][value != 1]}" for field, value in self.changes if value]
        text = f"{self.preset}{' with ' if words else ''}{' and '.join(words)}"
        return f"{text} without a head" if ("num_classes", 0) in self.changes else text


def variants(side: str, shapes: Shapes) -> list[Variant]:
    """Every preset under every source of a side, the likeliest first."""
    found = []
    for preset, (owner, _) in registry.presets().items():
        if owner in registry.architectures():
            spec: Spec = registry.make(preset)
            tables = [(name, source) for name, source in spec.SOURCES.items() if source.side == side]
            found += [(_variant(preset, spec, name, source, shapes), spec, source) for name, source in tables]
    found.sort(key=lambda item: -item[0].share)
    refined = [_refined(*item, shapes) for item in found[:REFINED]]
    return sorted(refined, key=lambda variant: -variant.share)


def alike(spec: Spec, source: Source) -> list[str]:
    """The presets whose weights have the spec's names and shapes under a source, a different head aside."""
    shapes = shapes_of(places(spec, source))
    found = []
    for preset, fields in spec.PRESETS.items():
        other = type(spec)(**fields)
        if _refined(_variant(preset, other, "", source, shapes), other, source, shapes).share == 1:
            found.append(preset)
    return found


def explained(spec: Spec, source: str, likely: list[Variant], label: str, complaint: str) -> str:
    """The sentence for weights that do not fit the spec: what they are, where that is known, or what they are near."""
    exact = [item for item in likely if item.share == 1]
    exact = [item for item in exact if item.source == source] or exact
    exact = [item for item in exact if len(item.changes) == min(len(other.changes) for other in exact)]
    if exact:
        first = exact[0]
        changes = "".join(f", {field}={value}" for field, value in first.changes)
        other = f" with source={first.source!r}" if first.source != source else ""
        asked = f"diglot.spec({first.preset!r}{changes}){other}"
        return f"{label} are those of {' or '.join(map(str, exact))}, not of this {spec.name}; ask for {asked}"
    if not likely or not likely[0].share:
        return complaint
    best = likely[0]
    nearly = f"{int(100 * best.share)}% of the names and shapes are those of {best} ({best.source})"
    return f"{complaint}; the nearest preset: {nearly}"


def _variant(preset: str, spec: Spec, name: str, source: Source, shapes: Shapes) -> Variant:
    base = places(spec, source)
    wanted, there = shapes_of(base), named(base, source, shapes)
    held = {
        key: tuple(shapes[actual]) for key, actual in there.items() if key in wanted or not is_left_out(source, key)
    }
    same = sum(held.get(key) == shape for key, shape in wanted.items())
    return Variant(preset, name, (), same / max(len(wanted), len(held), 1))


def _refined(variant: Variant, spec: Spec, source: Source, shapes: Shapes) -> Variant:
    """The same preset with what the shapes themselves tell, where that fits better."""
    base = places(spec, source)
    held = {key: shapes[actual] for key, actual in named(base, source, shapes).items()}
    told = {field: _told(spec, source, base, field, held) for field in FREE if variant.share < 1}
    changes = {field: value for field, value in told.items() if value not in (None, spec.fields().get(field))}
    try:
        other = _variant(variant.preset, spec.replace(**changes), variant.source, source, shapes)
    except SpecError:
        return variant
    return dataclasses.replace(other, changes=tuple(changes.items())) if other.share > variant.share else variant


def _told(spec: Spec, source: Source, base: tuple[Place, ...], field: str, held: Shapes) -> int | None:
    """The value of a field that the shapes tell; 0 where all that depends on it is absent; None where none does."""
    value: Any = spec.fields().get(field)
    if not isinstance(value, int):
        return None
    one: Shapes = shapes_of(base)
    two = _with(spec, source, field, value + 1)
    if not value:  # without a head there is nothing to compare with
        one, two = _with(spec, source, field, 1), _with(spec, source, field, 2)
        value = 1
    differing = list(_differing(one, two))
    for key, axis in differing:
        if len(held.get(key, ())) == len(one[key]):
            times, rest = two[key][axis] - one[key][axis], one[key][axis] - value * (two[key][axis] - one[key][axis])
            return int(held[key][axis] - rest) // times
    return 0 if differing and field == "num_classes" else None


def _with(spec: Spec, source: Source, field: str, value: int) -> Shapes:
    try:
        return shapes_of(places(spec.replace(**{field: value}), source))
    except SpecError:  # the spec ties this field to others, so that it is not free
        return shapes_of(places(spec, source))


def _differing(one: Shapes, two: Shapes) -> Iterator[tuple[str, int]]:
    for key, shape in one.items():
        for axis, size in enumerate(shape):
            if two[key][axis] != size:
                yield key, axis
