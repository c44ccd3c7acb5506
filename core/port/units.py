"""What is matched as a whole: a layer's weights that belong together, and what has to agree for two to be the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..axes import parse, render
from .fitting import relabelled, sizes_in
from .layer import CUSTOM, Layer, Slot
from .piece import Piece, words

Key = tuple[Any, ...]
LINEAR, DEPTHWISE, NORM = "linear", "depthwise", "norm"
PROJECTIONS = ("query", "key", "value")  # in the order in which they are packed
PART = "part"
MAIN = ("kernel", "table", "gamma", "beta", "mean", "alpha")


@dataclass(frozen=True, eq=False)
class Unit:
    """A layer, one of the four projections of an attention layer, a slice of a packed layer, or one tensor of a class
    that Diglot does not know.

    `slots` are by their names within the unit, and `key` is what both sides must agree in. `label` is what a layer's
    place would not tell: its role, which projection it is, and whether it runs backwards. `tied` is one whose tensors
    another unit holds already. `place` is its number in the model.
    """

    side: str
    name: str
    layer: Layer
    slots: Mapping[str, Slot]
    key: Key
    place: int
    label: Key = ()
    tied: bool = False

    def main(self) -> Slot:
        """The weight that tells most of the unit."""
        return next((self.slots[name] for name in MAIN if name in self.slots), next(iter(self.slots.values())))


def units(side: str, layers: Iterable[Layer], aliases: Mapping[str, str], apart: bool) -> list[Unit]:
    """The units of a model's layers, in its own order. With `apart`, attention layers come as their projections.

    A tensor that is tied to another is resolved to the first; a layer whose tensors are all held by one before is tied.
    """
    found: list[Unit] = []
    held: set[Key] = set()
    for layer in layers:
        for name, slots, label in _parts(layer, apart):
            resolved = {
                key: replace(slot, pieces=tuple(_resolved(piece, aliases) for piece in slot.pieces))
                for key, slot in slots.items()
            }
            used = {(piece.tensor, piece.pick, piece.span) for slot in resolved.values() for piece in slot.pieces}
            key = key_of(layer, resolved, label)
            found.append(Unit(side, name, layer, resolved, key, len(found), label, used <= held))
            held |= used
    return found


def key_of(layer: Layer, slots: Mapping[str, Slot], label: Key) -> Key:
    """What two units must agree in: the kind of weights and the sizes of the main one."""
    role = str(label[0]) if label else layer.role
    if role in ("lstm", "gru", "rnn"):
        kernel = next((slot for name, slot in slots.items() if name.startswith("kernel")), None)
        return (role, *(kernel.shape if kernel else ()))
    if role == "attention" and "query.kernel" in slots:
        shape = slots["query.kernel"].shape
        return (role, shape[0], _product(shape[1:]))  # how many heads there are is a setting
    main = next((slots[name] for name in MAIN if name in slots), None)
    if role == CUSTOM or main is None:
        shapes = [tuple(size for size in slot.shape if size != 1) for slot in slots.values()]
        return (CUSTOM, *sorted(size for shape in shapes for size in shape))
    sizes = sizes_in(main)
    space = tuple(size for name, size in sizes.items() if name in ("depth", "height", "width") and size != 1)
    if role == "dense":
        axes = main.axes.split()
        inner = main.shape[0] if axes[0] == "in" else _product(main.shape[:-1])
        return (LINEAR, (), inner, _product(main.shape) // inner)
    if role == "convolution" and "in" in sizes and "out" in sizes:
        groups = int(layer.settings.get("groups", 1) or 1)
        if groups > 1 and sizes["in"] == 1:
            return (DEPTHWISE, space, groups, sizes["out"] // groups)
        return (LINEAR, space, sizes["in"], sizes["out"])
    if role == "depthwise_convolution":
        return (DEPTHWISE, space, sizes.get("channels", 0), sizes.get("multiplier", 1))
    if role in ("layer_norm", "group_norm", "rms_norm"):
        return (NORM, tuple(sorted(main.shape)))
    return (role, *sorted(main.shape))


def coarse(key: Key) -> Key:
    """A key in which a convolution over all that it is given, or over patches of it, is a dense layer."""
    if key[0] != LINEAR:
        return key
    kind, space, inside, outside = key
    return kind, _product(space) * inside, outside


def divided(unit: Unit, count: int, heads: int = 0) -> list[Unit]:
    """The equal slices of a unit's outputs as units of their own, one after another or, with `heads`, within each.

    None where the unit's outputs are several axes that cannot be cut so.
    """
    kind, space, inside, outside = unit.key
    size = outside // count
    wanted = [("heads", heads), (PART, count), ("depth", size // heads)] if heads else [(PART, count), ("out", size)]
    cuts = {}
    for name, slot in unit.slots.items():
        cut = _cut([(axis, sizes_in(slot)[axis]) for axis in parse(slot.axes)[-1]], wanted)
        if cut is None:
            return []
        cuts[name] = cut
    found = []
    for index in range(count):
        slots = {}
        for name, (inner, sizes) in cuts.items():
            slot = unit.slots[name]
            pieces = tuple(relabelled(piece, inner, sizes) for piece in slot.pieces)
            pieces = tuple(replace(piece, pick=(*piece.pick, (PART, index))) for piece in pieces)
            left = [axis for axis in sizes if axis != PART]
            axes = render((*parse(slot.axes)[:-1], *((axis,) for axis in left)))
            shape = (*slot.shape[:-1], *(sizes[axis] for axis in left))
            slots[name] = replace(slot, axes=axes, shape=shape, pieces=pieces)
        part = PROJECTIONS[index] if count == len(PROJECTIONS) else f"slice {index}"
        key = (kind, space, inside, size)
        found.append(replace(unit, name=f"{unit.name} {part}", slots=slots, key=key, label=("dense", part, False)))
    return found


def stretches(unit: Unit, sizes: Sequence[int]) -> list[Unit]:
    """The slices of a unit's outputs of these sizes, one after another, as units of their own.

    None where the unit's outputs are several axes, or another slice's already.
    """
    slots = unit.slots.values()
    if any(len(parse(slot.axes)[-1]) > 1 or any(piece.span or piece.pick for piece in slot.pieces) for slot in slots):
        return []
    kind, space, inside, outside = unit.key
    found, start = [], 0
    for index, size in enumerate(sizes):
        cut = {name: _stretch(slot, start, start + size, outside) for name, slot in unit.slots.items()}
        part = PROJECTIONS[index] if len(sizes) == len(PROJECTIONS) else f"slice {index}"
        key = (kind, space, inside, size)
        found.append(replace(unit, name=f"{unit.name} {part}", slots=cut, key=key, label=("dense", part, False)))
        start += size
    return found


def _stretch(slot: Slot, start: int, stop: int, whole: int) -> Slot:
    """A weight of some of the outputs, which are its last axis."""
    (axis,) = parse(slot.axes)[-1]
    pieces = tuple(replace(piece, span=(words(piece.axes).index(axis), start, stop, whole)) for piece in slot.pieces)
    return replace(slot, shape=(*slot.shape[:-1], stop - start), pieces=pieces)


def _cut(axes: list[tuple[str, int]], wanted: list[tuple[str, int]]) -> tuple[dict[str, str], dict[str, int]] | None:
    """The names within each of the axes that together make the wanted ones, and their sizes; None where they cross."""
    names: dict[str, str] = {}
    sizes: dict[str, int] = {}
    rest = list(wanted)
    for axis, whole in axes:
        inner = []
        while whole > 1:
            name, size = rest.pop(0)
            if whole % size == 0:
                taken = size
            elif size % whole == 0 and name != PART:
                taken = whole
                rest.insert(0, (name, size // whole))
            else:
                return None
            name = name if name not in sizes else f"{name}{len(sizes)}"
            sizes[name] = taken
            inner.append(name)
            whole //= taken
        names[axis] = " ".join(inner)
    return names, sizes


def _parts(layer: Layer, apart: bool) -> Iterator[tuple[str, dict[str, Slot], Key]]:
    backwards = bool(layer.settings.get("reversed", layer.name.endswith("reverse")))
    if layer.role == CUSTOM:
        for slot in layer.slots:
            yield f"{layer.name} {slot.name}".strip(), {slot.name: slot}, (CUSTOM, "", False)
    elif layer.role == "attention" and apart:
        for part in dict.fromkeys(slot.name.split(".")[0] for slot in layer.slots):
            slots = {slot.name.split(".", 1)[1]: slot for slot in layer.slots if slot.name.split(".")[0] == part}
            yield f"{layer.name} {part}", slots, ("dense", part, False)
    elif layer.slots:
        yield layer.name, {slot.name: slot for slot in layer.slots}, (layer.role, "", backwards)


def _resolved(piece: Piece, aliases: Mapping[str, str]) -> Piece:
    return replace(piece, tensor=aliases[piece.tensor]) if piece.tensor in aliases else piece


def _product(shape: Iterable[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
