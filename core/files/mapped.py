"""A user's own weights from one framework's names and layout into the other's, as a mapping says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StateError, nearest
from ..port.mapping import Match, WeightMapping
from ..port.piece import Piece
from . import hdf5
from .layering import lay
from .planned import Planned
from .stored import CODES, Held, Stored

Array = NDArray[Any]
Part = tuple[Match, int, Piece]
NO_WEIGHTS = {"optimizer", "metrics", "seed_generator"}
COUNT = "num_batches_tracked"
KERAS = ("weights.h5", "keras")  # the forms that name a tensor by its dataset's path


def planned(mapping: WeightMapping, held: Held, side: str, form: str) -> tuple[Planned, ...]:
    """The tensors of the other side's file out of those of a file of this `side`, in the order of the mapping.

    Bitwise. Where the target sums several tensors, all is put into the first and zeros into the others.
    Raises StateError for a tensor that the file or the mapping lacks, and for one that does not fit.
    """
    other = "keras" if side == "torch" else "torch"
    wholes: dict[str, list[Part]] = {}
    for match in (_in_full(match, held, side) for match in mapping.matches):
        for number, piece in enumerate(_pieces(match, other)):
            wholes.setdefault(_file_name(piece, form, match), []).append((match, number, piece))
    result = []
    for name, parts in wholes.items():
        sources = [_sources(match, held, side) for match, _, _ in parts]
        names = tuple(dict.fromkeys(tensor.name for found in sources for _, tensor in found))
        codes = {tensor.code for found in sources for _, tensor in found}
        if len(codes) > 1:
            raise StateError(f"{', '.join(names)} are {', '.join(sorted(codes))}, and go into one tensor, {name}")
        code, shape = codes.pop(), _shape(name, parts, sources)
        piece, layer = parts[0][2], parts[0][2].tensor.rpartition("/")[0].rpartition("/")[2] if other == "keras" else ""
        told = name, code, shape, names
        if len(parts) == 1 and len(sources[0]) == 1 and not parts[0][1] and not piece.pick:
            result.append(
                Planned(*told, plain=_plain(sources[0][0], piece), how=_way(sources[0][0][0], piece), layer=layer)
            )
        else:
            result.append(Planned(*told, fill=_filling(parts, sources, code), how=_of(parts, sources), layer=layer))
    return tuple(result)


def check(mapping: WeightMapping, held: Held, side: str, tensors: Sequence[Planned], form: str) -> None:
    """Raises StateError for ignored names that a file of PyTorch does not have, and for holes in a layer of Keras."""
    for name in mapping.ignored.get(side, ()) if side == "torch" else ():
        if name not in held.tensors and not name.endswith(COUNT):
            raise StateError(f"the map ignores {name}, and {held.label} have none{nearest(name, held.tensors)}")
    layers: dict[str, list[int]] = {}
    for each in tensors if form in KERAS else ():
        layer, _, number = each.name.rpartition("/vars/")
        if number.isdecimal():
            layers.setdefault(layer, []).append(int(number))
    for layer, numbers in layers.items():
        if sorted(numbers) != list(range(len(numbers))) and not mapping.ignored.get("keras"):
            absent = min(set(range(max(numbers))) - set(numbers))
            raise StateError(
                f"the map fills {layer}/vars/{max(numbers)} and not {layer}/vars/{absent}, which Keras would miss; "
                "correct its keras_stored"
            )


def unused(mapping: WeightMapping, held: Held, side: str) -> list[str]:
    """The tensors of a file that a mapping neither takes nor waves through.

    What is no weight (an optimizer's slots, the state of a generator, a count of batches) is not among them, nor is the
    second name of a tied tensor: one with the same numbers as one that is taken.
    """
    taken = {_present(piece, held) for match in mapping.matches for piece in _pieces(match, side)}
    waved = {name for names in mapping.ignored.values() for name in names}
    left = [
        name
        for name in held.tensors
        if name not in taken and name not in waved and not name.endswith(COUNT)
        and not (side == "keras" and NO_WEIGHTS & set(name.split("/")))
    ]  # fmt: skip
    return [name for name in left if not any(_same(held, name, other) for other in taken if other is not None)]


def _same(held: Held, name: str, other: str) -> bool:
    one, two = held.tensors[name], held.tensors[other]
    return (one.code, one.shape) == (two.code, two.shape) and np.array_equal(one.flat(), two.flat())


def _in_full(match: Match, held: Held, side: str) -> Match:
    """A match that only renames a tensor, with the axes that one of a single axis has."""
    if match.axes:
        return match
    alone = len(match.torch) == len(match.keras) == 1
    if not alone or _present(_pieces(match, side)[0], held) is None or len(_sources(match, held, side)[0][1].shape) > 1:
        raise StateError(
            f"the map only renames {match.torch[0].tensor}, and a file does not say what its axes are, nor what "
            "a layer holds; write the map in full with diglot compare --map … --write-map"
        )
    axes = "channels" if _sources(match, held, side)[0][1].shape else ""
    return replace(
        match,
        axes=axes,
        torch=(replace(match.torch[0], axes=axes),),
        keras=(replace(match.keras[0], axes=axes),),
    )


def _pieces(match: Match, side: str) -> tuple[Piece, ...]:
    return match.torch if side == "torch" else match.keras


def _file_name(piece: Piece, form: str, match: Match) -> str:
    """The name of a tensor in a file of a form."""
    if form not in KERAS:
        return piece.tensor
    name = piece.stored or piece.tensor
    if "vars" not in name.split("/"):
        raise StateError(
            f"the map does not say where {piece.tensor} lies in a .weights.h5; give {match.name} "
            "a keras_stored, such as layers/dense/vars/0"
        )
    return name


def _present(piece: Piece, held: Held) -> str | None:
    """The name of a tensor in a file; a legacy one may have it by its outermost layer and its own name."""
    names = [piece.stored, piece.tensor]
    if held.form == hdf5.LEGACY and piece.tensor.count("/") > 1:
        names.append(f"{piece.tensor.partition('/')[0]}/{piece.tensor.rpartition('/')[2]}")
    return next((name for name in names if name in held.tensors), None)


def _sources(match: Match, held: Held, side: str) -> list[tuple[Piece, Stored]]:
    found = []
    for piece in _pieces(match, side):
        name = _present(piece, held)
        if name is None:
            wanted = piece.stored or piece.tensor
            raise StateError(f"{held.label} have no {wanted}, which the map takes{nearest(wanted, held.tensors)}")
        found.append((piece, held.tensors[name]))
    return found


def _sizes(match: Match, sources: list[tuple[Piece, Stored]]) -> dict[str, int]:
    """The size of each axis of a match, by the shapes of the tensors that it is taken from."""
    sizes: dict[str, int] = {}
    for piece, tensor in sources:
        try:
            view = piece.view(np.broadcast_to(np.zeros((), "u1"), tensor.shape))
        except (ValueError, IndexError) as error:
            raise StateError(
                f"{tensor.name} {list(tensor.shape)} is not {piece.axes!r}, as the map says: {error}"
            ) from None
        for name, size in zip(piece.left().split(), view.shape, strict=True):
            if sizes.setdefault(name, size) != size:
                raise StateError(f"{match.name}: the tensors that are summed differ in {name!r}")
    return sizes


def _shape(name: str, parts: Sequence[Part], sources: Sequence[list[tuple[Piece, Stored]]]) -> tuple[int, ...]:
    """The shape of a whole tensor. Raises StateError where parts of it disagree, or leave some of it open."""
    picks: dict[str, set[int]] = {}
    for _, _, piece in parts:
        for axis, index in piece.pick:
            picks.setdefault(axis, set()).add(index)
    shapes, covered = set(), 0
    for (match, _, piece), found in zip(parts, sources, strict=True):
        sizes = {axis: max(indices) + 1 for axis, indices in picks.items()} | _sizes(match, found)
        try:
            shapes.add(piece.shape(sizes))
        except KeyError as error:
            raise StateError(f"the map does not say how large {error} of {name} is; give it in its factors") from None
        if set(piece.left().split()) != set(found[0][0].left().split()):
            raise StateError(f"{match.name}: {piece.axes!r} and {found[0][0].axes!r} do not name the same axes")
        covered += int(np.prod([sizes[axis] for axis in piece.left().split()], dtype=object))
    if len(shapes) > 1:
        raise StateError(f"the parts of {name} would give it the shapes {' and '.join(map(str, sorted(shapes)))}")
    shape = shapes.pop()
    if covered != int(np.prod(shape, dtype=object)):
        raise StateError(
            f"the map fills {covered} of the {int(np.prod(shape, dtype=object))} numbers of {name} {shape}"
        )
    return shape


def _moved(source: tuple[Piece, Stored], target: Piece) -> Array:
    piece, tensor = source
    names = piece.left().split()
    return piece.view(tensor.raw()).transpose([names.index(name) for name in target.left().split()])


def _plain(source: tuple[Piece, Stored], target: Piece) -> Callable[[], Array]:
    return lambda: _moved(source, target)


def _filling(
    parts: Sequence[Part], sources: Sequence[list[tuple[Piece, Stored]]], code: str
) -> Callable[[Array], None]:
    def fill(out: Array) -> None:
        for (_, number, piece), found in zip(parts, sources, strict=True):
            into = piece.view(out)
            if number:
                into[...] = 0
            elif len(found) == 1:
                lay(into, _moved(found[0], piece))
            else:
                total = [_numbers(_moved(each, piece), code) for each in found]
                into[...] = _bits(sum(total[1:], start=total[0]), code)

    return fill


def _numbers(raw: Array, code: str) -> Array:
    return (raw.astype("<u4") << np.uint32(16)).view("<f4") if code == "BF16" else raw


def _bits(values: Array, code: str) -> Array:
    """Numbers as they are kept; bfloat16 rounded to the nearest, ties to even."""
    if code != "BF16":
        return values.astype(CODES[code], copy=False)
    bits = np.ascontiguousarray(values).view("<u4")
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype("<u2")


def _way(source: Piece, target: Piece) -> str:
    return "" if source.left() == target.left() and not source.pick else f"{source.axes} → {target.axes}"


def _of(parts: Sequence[Part], sources: Sequence[list[tuple[Piece, Stored]]]) -> str:
    if len(parts) > 1:
        return f"{len(parts)} parts, {parts[0][2].axes}"
    return f"sum of {len(sources[0])}" if len(sources[0]) > 1 else "zeros" if parts[0][1] else parts[0][2].axes
