"""Which preset a set of foreign weights belongs to: by names and shapes, with a different number of classes at most."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import registry
from .errors import SpecError
from .foreign import Place, Shapes, head, is_left_out, named, places, shapes_of, table, unmet
from .source import Source
from .spec import Spec

REFINED = 8  # of the likeliest presets, it is asked whether their weights are these but for what FREE names
# What a file alone can tell.
FREE = {
    "num_classes": "{} class{}",
    "in_channels": "{} channel{}",
    "image_size": "images of {} pixel{}",
    "vocab_size": "{} token{}",
    "max_len": "{} position{}",
}
STEPS = 512  # patches along the largest image that is thought of


@dataclass(frozen=True)
class Variant:
    """A preset whose weights a source names in the same way, and the share of names and shapes that are the same."""

    preset: str
    source: str
    changes: tuple[tuple[str, int], ...]
    share: float

    def __str__(self) -> str:
        words = [counted(field, value) for field, value in self.changes if value]
        text = f"{self.preset}{' with ' if words else ''}{' and '.join(words)}"
        return f"{text} without a head" if ("num_classes", 0) in self.changes else text


def counted(field: str, value: int) -> str:
    """A number of what a field counts, `10 classes`."""
    return FREE[field].format(value, "" if value == 1 else "es" if field == "num_classes" else "s")


def values(changes: Iterable[tuple[str, Any]]) -> str:
    """Fields as arguments, `num_classes=10, in_channels=1`."""
    return ", ".join(f"{field}={value!r}" for field, value in changes)


def variants(side: str, shapes: Shapes) -> list[Variant]:
    """Every preset under every source of a side, the likeliest first."""
    found = []
    for preset, (owner, _) in registry.presets().items():
        if owner in registry.architectures():
            spec: Spec = registry.make(preset)
            tables = [(name, table(spec, name)) for name in spec.SOURCES]
            found += [(_variant(preset, spec, name, source, shapes), spec, source) for name, source in tables
                      if source.side == side and not unmet(spec, source)]  # fmt: skip
    found.sort(key=lambda item: -item[0].share)
    refined = [_refined(*item, shapes) for item in found[:REFINED]]
    return sorted(refined, key=lambda variant: -variant.share)


def alike(spec: Spec, source: Source) -> list[str]:
    """The source's own presets whose weights have the spec's names and shapes, what is FREE aside."""
    shapes = shapes_of(places(spec, source))
    found = []
    for preset, fields in spec.PRESETS.items():
        other = type(spec)(**fields)
        variant = _refined(_variant(preset, other, "", source, shapes), other, source, shapes)
        if variant.share == 1 and not unmet(other, source):
            found.append(preset)
    return found


def explained(spec: Spec, source: str, shapes: Shapes, label: str, complaint: str) -> str:
    """The sentence for weights that do not fit the spec: what they are, where that is known, or what they are near."""
    likely = variants(table(spec, source).side, shapes)
    if sentence := _differently(spec, source, shapes, label) or _those_of(likely, spec, source, label):
        return sentence
    if not likely or not likely[0].share:
        return complaint
    best = likely[0]
    nearly = f"{int(100 * best.share)}% of the names and shapes are those of {best} ({best.source})"
    return f"{complaint}; the nearest preset: {nearly}"


def recognised(spec: Spec, side: str, shapes: Shapes, label: str) -> str:
    """The sentence for weights of a side that are another preset's under some source, or nothing."""
    return _those_of(variants(side, shapes), spec, "", label)


def _differently(spec: Spec, source: str, shapes: Shapes, label: str) -> str:
    """The sentence for weights that differ from the spec's by what is FREE alone, or nothing."""
    own, fields = table(spec, source), spec.fields()
    found = _refined(_variant(spec.name, spec, source, own, shapes), spec, own, shapes)
    changes = [item for item in found.changes if item[0] != "num_classes" or fields["num_classes"]]
    if found.share < 1 or not changes:
        return ""
    said, more = [], ""
    for field, value in changes:
        if field == "image_size":
            said.append(f"positions for {counted(field, value)}, and this {spec.name} for {fields[field]}")
            more += ", and then use diglot.resize"
        elif value:
            said.append(f"{counted(field, value)}, and this {spec.name} {fields[field]}")
            more += ", or with 0 to leave the head away" if field == "num_classes" and len(changes) == 1 else ""
        else:
            said.append(f"no head, and this {spec.name} one of {counted(field, fields[field])}")
    return f"{label} have {'; they have '.join(said)}; load with {values(changes)}{more}"


def _those_of(likely: list[Variant], spec: Spec, source: str, label: str) -> str:
    """The sentence for weights that are exactly those of a preset, or nothing."""
    exact = [item for item in likely if item.share == 1]
    exact = [item for item in exact if item.source == source] or exact
    exact = [item for item in exact if len(item.changes) == min(len(other.changes) for other in exact)]
    if not exact:
        return ""
    first = exact[0]
    same = list(dict.fromkeys(map(str, (item for item in exact if item.source == first.source))))
    asked = f"diglot.spec({', '.join(filter(None, (repr(first.preset), values(first.changes))))})"
    other = f" with source={first.source!r}" if first.source != source else ""
    return f"{label} are those of {' or '.join(same)}, not of this {spec.name}; ask for {asked}{other}"


def _variant(preset: str, spec: Spec, name: str, source: Source, shapes: Shapes) -> Variant:
    base = places(spec, source)
    wanted, there = shapes_of(base), named((*base, *head(spec, source)), source, shapes)
    held = {
        key: tuple(shapes[actual]) for key, actual in there.items() if key in wanted or not is_left_out(source, key)
    }
    same = sum(held.get(key) == shape for key, shape in wanted.items())
    return Variant(preset, name, (), same / max(len(wanted), len(held), 1))


def _refined(variant: Variant, spec: Spec, source: Source, shapes: Shapes) -> Variant:
    """The same preset with what the shapes themselves tell, where that fits better."""
    base = places(spec, source)
    held = {key: shapes[actual] for key, actual in named((*base, *head(spec, source)), source, shapes).items()}
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
    if field == "image_size":
        return _size(spec, source, one, held)
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


def _size(spec: Spec, source: Source, one: Shapes, held: Shapes) -> int | None:
    """The size of the images that learned positions are for: more positions, larger images."""
    fields = spec.fields()
    step = fields.get("patch_size", 1)
    for key, axis in _differing(one, _with(spec, source, "image_size", fields["image_size"] + step)):
        if len(held.get(key, ())) == len(one[key]):

            def length(steps: int, key: str = key, axis: int = axis) -> int:
                return _with(spec, source, "image_size", step * steps)[key][axis]

            steps = 1 + bisect.bisect_left(range(1, STEPS), held[key][axis], key=length)
            return step * steps if length(steps) == held[key][axis] else None
    return None


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
