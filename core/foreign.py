"""Where a library keeps each weight of a spec, and the two ways across: a strict bijection, bitwise."""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import rearrange, sizes_of
from .errors import SpecError, StateError
from .layout import leaf, native
from .settings import is_same
from .source import SEPARATORS, SLICE, Among, Source, current, matches, tables, translated
from .spec import Spec, Weight
from .state import State

SHOWN = 3  # names of a kind in an error
ALWAYS_LEFT_OUT = "*num_batches_tracked"
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Place:
    """Where a weight is: the name and the axes there, and which of how many slices along the axis of the outputs."""

    weight: Weight
    name: str
    axes: str
    index: int = 0
    count: int = 1

    def sizes(self) -> dict[str, int]:
        """The size of every axis name."""
        return {"1": 1, **sizes_of(self.weight.axes, self.weight.shape, dict(self.weight.factors))}

    @functools.cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of the library's whole tensor."""
        shape = self._sized(self.axes)
        shape[self.sliced] *= self.count
        return tuple(shape)

    @property
    def inner(self) -> str:
        """The axes there without those of length one."""
        return _inner(self.axes)

    @property
    def sliced(self) -> int:
        """The axis along which slices lie: that of the outputs, or else the first."""
        groups = _groups(self.axes)
        return groups.index("out") if "out" in groups else 0

    def read(self, whole: NDArray[Any]) -> NDArray[Any]:
        """The weight out of the library's tensor, in the canonical order; never a view of it."""
        length = whole.shape[self.sliced] // self.count
        part = whole[(*[slice(None)] * self.sliced, slice(self.index * length, (self.index + 1) * length))]
        inner = self.inner
        result: NDArray[Any] = rearrange(part.reshape(self._sized(inner)), inner, self.weight.axes, self.sizes())
        return result.copy() if np.may_share_memory(result, whole) else result

    def written(self, array: NDArray[Any]) -> NDArray[Any]:
        """The library's slice out of a weight in the canonical order."""
        moved = rearrange(array, self.weight.axes, self.inner, self.sizes())
        result: NDArray[Any] = moved.reshape(self._sized(self.axes))
        return result

    def _sized(self, axes: str) -> list[int]:
        sizes = self.sizes()
        return [math.prod(sizes[name] for name in group.strip("()").split()) for group in _groups(axes)]


def _groups(axes: str) -> list[str]:
    return re.findall(r"\([^()]+\)|\S+", axes)


def _inner(axes: str) -> str:
    return " ".join(group for group in _groups(axes) if group != "1")


@functools.lru_cache(maxsize=256)
def places(spec: Spec, source: Source) -> tuple[Place, ...]:
    """The place of every weight, in the order of the spec. Raises SpecError where two weights share one."""
    numbers: dict[str, dict[str, int]] = {}
    found = tuple(_place(weight, source, numbers) for weight in spec.weights())
    slices: dict[str, dict[int, Place]] = {}
    for place in found:
        taken = slices.setdefault(place.name, {})
        if place.index in taken or any(other.count != place.count for other in taken.values()):
            other = next(iter(taken.values()))
            raise SpecError(f"{spec.name}: {place.weight.name} and {other.weight.name} are both put at {place.name}")
        taken[place.index] = place
    for name, taken in slices.items():
        if len(taken) != next(iter(taken.values())).count:
            raise SpecError(f"{spec.name}: only slices {sorted(taken)} of {name} are named")
    return found


def _place(weight: Weight, source: Source, numbers: dict[str, dict[str, int]]) -> Place:
    separator, name = SEPARATORS[source.side], leaf(weight.role, source.side)
    theirs, axes, is_part = _ruled(weight, source)
    index, count = 0, 1
    if sliced := SLICE.search(theirs):
        theirs, index, count = theirs[: sliced.start()], int(sliced[1]), int(sliced[2])
    if theirs.endswith("#"):
        known = numbers.setdefault(theirs, {})
        theirs += str(known.setdefault(weight.owner, len(known)))
    if is_part:
        theirs = f"{theirs}{separator}{name}" if theirs else name
    return Place(weight, theirs, axes or native(weight.axes, source.side), index, count)


def _ruled(weight: Weight, source: Source) -> tuple[str, str, bool]:
    """What the first rule makes of a weight or of its part, the axes that it gives, and whether it is of the part."""
    for rule in source.rules:
        for text, is_part in ((weight.owner, True), (weight.name, False)):
            if text and (found := translated((rule,), text)):
                return *found, is_part
    return weight.owner, "", True


def shapes_of(found: Iterable[Place]) -> dict[str, tuple[int, ...]]:
    """The library's tensors by name, with their shapes."""
    return {place.name: place.shape for place in found}


def table(spec: Spec, name: str) -> Source:
    """The table of a source for a spec: of several the one that the spec lacks least of, or then that asks for most."""
    return min(tables(spec.SOURCES[name]), key=lambda source: (len(unmet(spec, source)), -len(source.requires)))


def unmet(spec: Spec, source: Source) -> dict[str, Any]:
    """The fields that a source's own networks have other values of, with these values."""
    fields, found = spec.fields(), {}
    for key, value in source.requires:
        allowed = value.values if isinstance(value, Among) else (value,)
        if not any(is_same(fields.get(key), each) for each in allowed):
            found[key] = allowed[0]
    return found


def with_head(spec: Spec) -> tuple[Spec, ...]:
    """A spec without classes as it is with them, if it can be."""
    return (spec.replace(num_classes=1000),) if spec.fields().get("num_classes") == 0 else ()


def head(spec: Spec, source: Source) -> tuple[Place, ...]:
    """The places of the head that a spec without classes leaves away."""
    wanted = {place.name for place in places(spec, source)}
    return tuple(place for whole in with_head(spec) for place in places(whole, source) if place.name not in wanted)


def match(spec: Spec, source: Source, shapes: Shapes, label: str = "the weights") -> dict[str, str]:
    """Which tensor of theirs stands at which name of the table: every tensor is used or declared left out.

    Raises StateError that names what is missing, extra and misshapen, with both shapes and the nearest names.
    """
    found = places(spec, source)
    wanted = shapes_of(found)
    beside = head(spec, source)
    names = named((*found, *beside), source, shapes)
    if twice := set(shapes) - set(names.values()):
        raise StateError(f"{label} hold one weight of {spec.name} under two names, one of which is {min(twice)}")
    unwanted = shapes_of(beside)
    missing = [name for name in wanted if name not in names]
    extra = [key for key in names if not (key in wanted or key in unwanted or is_left_out(source, key))]
    wrong = [key for key in wanted if key in names and tuple(shapes[names[key]]) != wanted[key]]
    words = (
        ("missing", missing, lambda key: f"{key} {wanted[key]}"),
        ("extra", extra, lambda key: f"{names[key]} {tuple(shapes[names[key]])}{_like(key, wanted)}"),
        ("wrong shape", wrong, lambda key: f"{names[key]} is {tuple(shapes[names[key]])} and should be {wanted[key]}"),
    )
    if complaints := [f"{word}: {_some(keys, show)}" for word, keys, show in words if keys]:
        concerned = {*missing, *wrong}
        weights = tuple(place.weight.name for place in found if place.name in concerned)
        raise StateError(f"{label} do not fit {spec.name}; {'; '.join(complaints)}", weights)
    return {name: names[name] for name in wanted}


def _some(keys: list[str], show: Callable[[str], str]) -> str:
    more = len(keys) - SHOWN
    return ", ".join(map(show, keys[:SHOWN])) + (f" and {more} more" if more > 0 else "")


def _like(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def is_left_out(source: Source, name: str) -> bool:
    """Whether a name is one that files hold and that no weight stands for."""
    return any(matches(pattern, name) for pattern in (ALWAYS_LEFT_OUT, *source.left_out))


def named(found: Iterable[Place], source: Source, names: Iterable[str]) -> dict[str, str]:
    """The names of a file by the names of the table: older spellings, numbered layers and unnamed variables."""
    separator = SEPARATORS[source.side]
    wanted = dict.fromkeys(place.name for place in found)
    spelled = {name if name in wanted else current(source, name): name for name in names}
    layers = dict.fromkeys(name.rpartition(separator)[0] for name in spelled)
    numbered: dict[str, str] = {}
    for stem in {match[1] for name in wanted if (match := re.match(r"(.*)#\d+", name))}:
        alike = [
            (int(m[1] or 0), layer) for layer in layers if (m := re.fullmatch(rf"{re.escape(stem)}(?:_(\d+))?", layer))
        ]
        numbered |= {layer: f"{stem}#{index}" for index, (_, layer) in enumerate(sorted(alike))}
    variables: dict[str, list[str]] = {}
    for name in wanted:
        variables.setdefault(name.rpartition(separator)[0], []).append(name)
    result = {}
    for name, actual in spelled.items():
        layer, _, variable = name.rpartition(separator)
        layer = numbered.get(layer, layer)
        known = variables.get(layer, [])
        if variable.isdigit() and source.side == "keras" and int(variable) < len(known):
            result[known[int(variable)]] = actual
        else:
            result[f"{layer}{separator}{variable}" if layer else variable] = actual
    return result


def to_canonical(spec: Spec, source: Source, arrays: Mapping[str, Any], label: str = "the weights") -> State:
    """The canonical state out of a library's arrays, each read when its turn comes.

    Raises StateError where the two are not in a bijection.
    """
    names = match(spec, source, {name: tuple(array.shape) for name, array in arrays.items()}, label)
    same_copies(spec, source, arrays, names, label)
    state: State = {}
    held: tuple[str, NDArray[Any]] = "", np.empty(0)
    for place in places(spec, source):
        if held[0] != place.name:
            held = place.name, np.asarray(arrays[names[place.name]])
        state[place.weight.name] = place.read(held[1])
    return state


def same_copies(spec: Spec, source: Source, arrays: Mapping[str, Any], names: Mapping[str, str], label: str) -> None:
    """Raises StateError where an array that repeats a weight of the spec holds other numbers."""
    for actual, original in copies(spec, source, arrays).values():
        if not np.array_equal(np.asarray(arrays[actual]), np.asarray(arrays[names[original]])):
            raise StateError(f"{label} hold another {actual} than {names[original]}, which are one in this {spec.name}")


def copies(spec: Spec, source: Source, arrays: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Of the arrays that repeat a weight of the spec: their names there and that of the table for what they repeat."""
    found = places(spec, source)
    wanted = {place.name for place in found}
    there = named(found, source, arrays)
    return {
        copy: (there[copy], original)
        for copy, original in source.copies
        if copy in there and copy not in wanted and original in wanted
    }


def from_canonical(spec: Spec, source: Source, state: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """A library's arrays, by the names of the table, out of a canonical state that fits the spec."""
    slices: dict[str, dict[int, NDArray[Any]]] = {}
    axes: dict[str, int] = {}
    for place in places(spec, source):
        slices.setdefault(place.name, {})[place.index] = place.written(np.asarray(state[place.weight.name]))
        axes[place.name] = place.sliced
    return {
        name: found[0] if len(found) == 1 else np.concatenate([found[index] for index in sorted(found)], axes[name])
        for name, found in slices.items()
    }


def numbered(name: str) -> str:
    """The name that a library gives a numbered layer of a first model: `conv2d#0` is `conv2d`, then `conv2d_1`."""
    return re.sub(r"#(\d+)", lambda number: "" if number[1] == "0" else f"_{number[1]}", name)
