"""What is matched as a whole: a layer's weights that belong together, and what has to agree for two to be the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .fitting import relabelled, sizes_in
from .layer import CUSTOM, Layer, Slot
from .piece import Piece

Key = tuple[Any, ...]
LINEAR, DEPTHWISE, NORM = "linear", "depthwise", "norm"
PROJECTIONS = ("query", "key", "value")  # in the order in which they are packed
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

    def described(self) -> str:
        """The unit's name and the shapes of its tensors, for a person."""
        shapes = ", ".join(f"{piece.tensor} {slot.shape}" for slot in self.slots.values() for piece in slot.pieces[:1])
        return shapes or self.name


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
            used = {(piece.tensor, piece.pick) for slot in resolved.values() for piece in slot.pieces}
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


def divided(unit: Unit, count: int, heads: int = 0) -> list[Unit]:
    """The equal slices of a unit's outputs as units of their own, one after another or, with `heads`, within each."""
    found = []
    for index in range(count):
        slots = {}
        for name, slot in unit.slots.items():
            out, size = slot.axes.split()[-1], slot.shape[-1] // count
            inner = f"part {out}" if not heads else "heads part depth"
            sizes = {"part": count, out: size} if not heads else {"heads": heads, "part": count, "depth": size // heads}
            pieces = tuple(relabelled(piece, {out: inner}, sizes) for piece in slot.pieces)
            pieces = tuple(replace(piece, pick=(*piece.pick, ("part", index))) for piece in pieces)
            left = [*slot.axes.split()[:-1], *([out] if not heads else ["heads", "depth"])]
            shape = (*slot.shape[:-1], *([size] if not heads else [heads, size // heads]))
            slots[name] = replace(slot, axes=" ".join(left), shape=shape, pieces=pieces)
        kind, space, inside, out_size = unit.key
        key = (kind, space, inside, out_size // count)
        part = PROJECTIONS[index] if count == len(PROJECTIONS) else f"slice {index}"
        found.append(replace(unit, name=f"{unit.name} {part}", slots=slots, key=key, label=("dense", part, False)))
    return found


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
