"""What is said of weights that have no counterpart, or several of which nothing tells which is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..errors import StateError
from .layer import Layer, Slot
from .mapping import WeightMapping
from .units import Key, Unit, coarse, key_of
from .words import likeness

NAMES = {"torch": "PyTorch", "keras": "Keras"}
SHOWN, CHOICES, KINDS = 3, 6, 3
"""So many weights that are left over, that are to be chosen from, and kinds of layers are told in a sentence."""

Names = tuple[str, ...]
Left = Mapping[str, Sequence[tuple[Unit, Slot]]]
Layers = Mapping[str, Sequence[Layer]]
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]


class Undecided(StateError):
    """Weights that were not matched: what was, and the names of both sides among which nothing decides."""

    def __init__(self, message: str, weights: Names, groups: tuple[tuple[Names, Names], ...]) -> None:
        super().__init__(message, weights)
        self.groups = groups
        self.mapping = WeightMapping(())


def unmatched(left: Left, layers: Layers, shapes: Shapes) -> Undecided:
    """The error that names the weights of both sides that are left over, and the likeliest of the other side's.

    Of layers that one side has more of, it says how many. `layers` are all of both models, `shapes` their tensors' own.
    """
    counted, rest = _counted(left, layers, shapes)
    said = counted[:KINDS]
    if len(counted) > KINDS:
        said.append(f"{len(counted) - KINDS} more kinds of layers differ in number")
    for side, other in (("torch", "keras"), ("keras", "torch")):
        if rest[side]:
            names = [_described(side, slot, shapes) for _, slot in rest[side]]
            near = _candidates(rest[side][0][1], other, rest[other], shapes)
            said.append(f"{NAMES[side]} alone has {_listed(names)}{near}")
    tensors = {side: tuple(piece.tensor for _, slot in left[side] for piece in slot.pieces) for side in NAMES}
    weights = (*tensors["torch"], *tensors["keras"])
    return Undecided(
        f"not every weight has a counterpart: {'; '.join(said)}; leave them out with ignore=, or say in map= or a map "
        "file which is which",
        weights,
        ((tensors["torch"], tensors["keras"]),),
    )


def _counted(left: Left, layers: Layers, shapes: Shapes) -> tuple[list[str], dict[str, list[tuple[Unit, Slot]]]]:
    """Sentences on layers of one kind and shape of which one side has more than the other; and what else is left."""
    lost = {side: _whole(found) for side, found in left.items()}
    kinds: dict[Key, dict[str, list[Layer]]] = {}
    for side, held in layers.items():
        for layer in held:
            if layer.slots:
                key = coarse(key_of(layer, {slot.name: slot for slot in layer.slots}, ()))
                kinds.setdefault(key, {name: [] for name in NAMES})[side].append(layer)
    said: list[str] = []
    told: dict[str, set[str]] = {side: set() for side in NAMES}
    for found in kinds.values():
        gone = {side: [layer.name for layer in found[side] if layer.name in lost[side]] for side in NAMES}
        more, fewer = sorted(NAMES, key=lambda side: -len(found[side]))
        if not found[fewer] or len(found[more]) == len(found[fewer]) or not gone[more]:
            continue
        listed = [
            _listed([_described(side, lost[side][name], shapes) for name in gone[side]])
            for side in (more, fewer)
            if gone[side]
        ]
        said.append(
            f"{NAMES[more]} has {len(found[more])} layers of this kind and shape, {NAMES[fewer]} {len(found[fewer])}: "
            f"left over are {' against '.join(listed)}"
        )
        for side, names in gone.items():
            told[side] |= set(names)
    return said, {side: [one for one in found if one[0].layer.name not in told[side]] for side, found in left.items()}


def _whole(found: Sequence[tuple[Unit, Slot]]) -> dict[str, Slot]:
    """The layers of which every weight is left over, by name, with the weight that tells most."""
    gone: dict[str, list[tuple[Unit, Slot]]] = {}
    for unit, slot in found:
        gone.setdefault(unit.layer.name, []).append((unit, slot))
    return {
        name: max((slot for _, slot in lost), key=lambda slot: len(slot.shape))
        for name, lost in gone.items()
        if len(lost) >= len(lost[0][0].layer.slots)
    }


def ambiguous(torch: Sequence[Unit], keras: Sequence[Unit], traced: bool, shapes: Shapes) -> Undecided:
    """The error that shows layers of one kind, of which neither numbers nor places nor names tell which is which."""
    ours, theirs = [unit.main().pieces[0].tensor for unit in torch], [unit.main().pieces[0].tensor for unit in keras]
    why = "take the same tensor, and neither numbers nor names decide"
    if not traced:
        why = "the models hold their layers in other orders; give inputs=, of which a run may tell"
    sizes = list(dict.fromkeys([shapes["torch"][ours[0]], shapes["keras"][theirs[0]]]))
    held = f"shape {sizes[0]}" + (f" in PyTorch, {sizes[1]} in Keras," if len(sizes) > 1 else "")
    layers = tuple(tuple(dict.fromkeys(unit.layer.name for unit in units)) for units in (torch, keras))
    named = all(len(names) == len(units) and all(names) for names, units in zip(layers, (torch, keras), strict=True))
    return Undecided(
        f"which of PyTorch's {_listed(ours, CHOICES)} is which of Keras's {_listed(theirs, CHOICES)} cannot be told: "
        f"all have {held} and {why}; or say it in map={{{ours[0]!r}: {theirs[0]!r}, …}} or in a map file",
        (*ours, *theirs),
        ((layers[0], layers[1]) if named else (tuple(ours), tuple(theirs)),),
    )


def _described(side: str, slot: Slot, shapes: Shapes) -> str:
    """The tensors by name, in the shape that they have in the user's own model."""
    return f"{' + '.join(piece.tensor for piece in slot.pieces)} {shapes[side][slot.pieces[0].tensor]}"


def _listed(names: Sequence[str], most: int = SHOWN) -> str:
    names = list(dict.fromkeys(names))
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _candidates(slot: Slot, side: str, others: Sequence[tuple[Unit, Slot]], shapes: Shapes) -> str:
    """The likeliest weights for one that is left over, by size and name."""
    name = slot.pieces[0].tensor
    ranked = sorted(
        others,
        key=lambda one: (
            math.prod(one[1].shape) != math.prod(slot.shape),
            len(one[1].shape) != len(slot.shape),
            -likeness(name, one[1].pieces[0].tensor),
        ),
    )
    if not ranked:
        return ""
    return f" (nearest to the first: {' or '.join(_described(side, one, shapes) for _, one in ranked[:2])})"
