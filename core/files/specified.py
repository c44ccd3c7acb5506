"""A checkpoint of a spec from one library's names and layout into another's: every tensor as views of its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..axes import parse
from ..errors import StateError
from ..foreign import Place
from .layering import lay
from .planned import Planned
from .stored import CODES, Stored

Array = NDArray[Any]


def planned(
    sources: Sequence[Place],
    held: Mapping[str, Stored],
    targets: Sequence[Place],
    named: Callable[[str], str] = str,
    layers: Mapping[str, str] | None = None,
) -> tuple[Planned, ...]:
    """The tensors of the target's places out of those of the source's, which `held` has by the source's names.

    Both have the same weights. bfloat16 becomes float32, which holds each of its numbers.
    """
    found = {place.weight.name: place for place in sources}
    whole: dict[str, list[Place]] = {}
    for place in targets:
        whole.setdefault(place.name, []).append(place)
    result = []
    for name, places in whole.items():
        pairs = [(found[place.weight.name], place) for place in places]
        names = tuple(dict.fromkeys(source.name for source, _ in pairs))
        codes = {held[source].code for source in names}
        if bad := codes - {"F64", "F32", "F16", "BF16"}:
            raise StateError(
                f"{names[0]} is stored as {min(bad)}, and a weight has F64, F32, F16 or BF16",
                tuple(place.weight.name for place in places),
            )
        if len(codes) > 1:
            raise StateError(f"{', '.join(names)} have different precisions, and are one tensor, {name}, in the target")
        code = next(iter(codes))
        layer = (layers or {}).get(name, "")
        shape, how = places[0].shape, _in_words(pairs)
        told = named(name), "F32" if code == "BF16" else code, shape, names
        if len(pairs) == 1 and places[0].count == 1 and code != "BF16":
            result.append(Planned(*told, plain=_view(*pairs[0], held), how=how, layer=layer))
        else:
            result.append(Planned(*told, fill=_filling(pairs, held), how=how, layer=layer))
    return tuple(result)


def atoms(place: Place, whole: Array) -> tuple[Array, list[str]]:
    """A view of the weight in a library's tensor, with an axis for each name, and these names."""
    length = whole.shape[place.sliced] // place.count if whole.ndim else 0
    slices = [slice(None)] * whole.ndim
    if place.count > 1:
        slices[place.sliced] = slice(place.index * length, (place.index + 1) * length)
    names = [name for group in parse(place.inner) for name in group]
    sizes = place.sizes()
    return split(whole[tuple(slices)], [sizes[name] for name in names]), names


def split(array: Array, shape: Sequence[int]) -> Array:
    """A view with longer axes split and those of length one dropped; a copy where it is not one."""
    return array.reshape(tuple(shape))


def _view(source: Place, target: Place, held: Mapping[str, Stored]) -> Callable[[], Array]:
    def view() -> Array:
        return _moved(source, target, held)

    return view


def _moved(source: Place, target: Place, held: Mapping[str, Stored]) -> Array:
    view, names = atoms(source, held[source.name].raw())
    order = [name for group in parse(target.inner) for name in group]
    moved: Array = view.transpose([names.index(name) for name in order])
    return moved


def _filling(pairs: Sequence[tuple[Place, Place]], held: Mapping[str, Stored]) -> Callable[[Array], None]:
    def fill(out: Array) -> None:
        for source, target in pairs:
            moved = _moved(source, target, held)
            into, _ = atoms(target, out)
            if held[source.name].code == "BF16":
                bits = into.view(CODES["U32"])
                lay(bits, moved.astype("<u4"))
                np.left_shift(bits, np.uint32(16), out=bits)
            else:
                lay(into, moved)

    return fill


def _in_words(pairs: Sequence[tuple[Place, Place]]) -> str:
    source, target = pairs[0]
    if len(pairs) > 1:
        return f"{len(pairs)} slices"
    if source.count > 1:
        return f"slice {source.index + 1} of {source.count}" + (
            "" if source.axes == target.axes else f", {_way(*pairs[0])}"
        )
    return "" if source.inner == target.inner else _way(source, target)


def _way(source: Place, target: Place) -> str:
    return f"{source.axes} → {target.axes}"
