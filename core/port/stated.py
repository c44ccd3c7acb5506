"""What a user says about weights: entries in full, taken as they are, and mere names, which the layers explain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..errors import StateError, nearest
from ..technique import Arrays
from .carrying import canonical
from .fitting import fits
from .layer import CUSTOM, Layer, Slot
from .mapping import Match, WeightMapping
from .piece import Piece
from .units import LINEAR, divided, stretches, units

Layers = Mapping[str, Sequence[Layer]]
Sliced = tuple[Layer, dict[str, Slot]]
NAMES = {"torch": "PyTorch", "keras": "Keras"}


def renaming(names: Mapping[str, str | Sequence[str]]) -> WeightMapping:
    """A mapping of PyTorch's names to Keras's, of tensors or of layers; several of Keras's where one is packed."""
    found = []
    for torch, keras in names.items():
        others = (keras,) if isinstance(keras, str) else tuple(keras) if isinstance(keras, Sequence) else ()
        if not isinstance(torch, str) or not others or not all(isinstance(other, str) for other in others):
            raise StateError(f"map= takes names of PyTorch's tensors and the Keras ones, not {torch!r}: {keras!r}")
        found.append(Match(torch, "", (Piece(torch, ""),), tuple(Piece(other, "") for other in others), "map"))
    return WeightMapping(tuple(found))


def stated(given: WeightMapping, layers: Layers, states: Mapping[str, Arrays]) -> list[Match]:
    """The entries of a mapping, each with its axes.

    Raises StateError for a name that neither side has, and for two weights that cannot be one.
    """
    found = []
    for match in given.matches:
        found.extend([match] if match.axes else _explained(match, layers, states))
    places = {piece.tensor: piece.stored for layer in layers["keras"] for slot in layer.slots for piece in slot.pieces}
    for match in found:
        for piece in match.keras:
            if piece.stored and places.get(piece.tensor) and piece.stored != places[piece.tensor]:
                raise StateError(
                    f"map says that {piece.tensor} lies at {piece.stored} of a .weights.h5, where this model keeps it "
                    f"at {places[piece.tensor]}; correct its keras_stored"
                )
        shapes = []
        for side in NAMES:
            for piece in getattr(match, side):
                _known(piece.tensor, side, states)
            shapes.append(canonical(match, states[side], side).shape)
        if shapes[0] != shapes[1]:
            raise StateError(
                f"map says that {match.torch[0].tensor} is {match.keras[0].tensor}, but as {match.axes!r} they have "
                f"shapes {shapes[0]} in PyTorch and {shapes[1]} in Keras"
            )
    return found


def _explained(match: Match, layers: Layers, states: Mapping[str, Arrays]) -> list[Match]:
    """The matches that two names stand for: of tensors, or of layers with all of their weights."""
    name, others = match.torch[0].tensor, [piece.tensor for piece in match.keras]
    ours = [_slots(name, "torch", layers, states)]
    theirs = [_slots(other, "keras", layers, states) for other in others]
    if len(theirs) > 1:
        ours = _divided(name, [slots for _, slots in theirs], layers["torch"])
    found = []
    for (layer, slots), (layer2, slots2) in zip(ours, theirs, strict=True):
        both = {key: key for key in slots if key in slots2}
        if len(slots) == len(slots2) == 1:
            both = dict(zip(slots, slots2, strict=True))
        if not both or (len(both) < len(slots) and len(both) < len(slots2)):
            raise StateError(
                f"map says that {name} is {others[0]}, but the one holds {', '.join(slots)} and the other "
                f"{', '.join(slots2)}; say in a map file which part is which"
            )
        custom = CUSTOM in (layer.role, layer2.role)
        for one, two in both.items():
            fit = next(iter(fits(slots[one], slots2[two], custom)), None)
            if fit is None:
                raise StateError(
                    f"map says that {slots[one].pieces[0].tensor} is {slots2[two].pieces[0].tensor}, but their shapes "
                    f"are {slots[one].shape} in PyTorch and {slots2[two].shape} in Keras (as {slots2[two].axes!r})"
                )
            title = f"{layer.name}.{one}" if layer.name else one
            found.append(
                replace(
                    match,
                    name=title,
                    axes=fit.axes,
                    torch=fit.torch,
                    keras=fit.keras,
                    layers=(layer.name, layer2.name),
                    trainable=slots[one].trainable,
                )
            )
    return found


def _slots(name: str, side: str, layers: Layers, states: Mapping[str, Arrays]) -> tuple[Layer, dict[str, Slot]]:
    """The layer of a name and the weights that it stands for."""
    for layer in layers[side]:
        if layer.name == name and name not in states[side]:
            return layer, {slot.name: slot for slot in layer.slots}
        slots = {slot.name: slot for slot in layer.slots if any(piece.tensor == name for piece in slot.pieces)}
        if slots:
            return layer, slots
    _known(name, side, states)
    raise StateError(f"map names {name}, which no layer of the {NAMES[side]} model holds")


def _divided(name: str, theirs: Sequence[Mapping[str, Slot]], layers: Sequence[Layer]) -> list[Sliced]:
    """The slices of a packed layer, or of one of its tensors, in the sizes of their counterparts."""
    count = len(theirs)
    for unit in units("torch", layers, {}, apart=False):
        slots = {
            key: slot for key, slot in unit.slots.items()
            if unit.layer.name == name or any(piece.tensor == name for piece in slot.pieces)
        }  # fmt: skip
        if not slots or unit.key[0] != LINEAR:
            continue
        packed = replace(unit, slots=slots)
        inside, whole = unit.key[2:]
        sizes = [_outputs(held, inside) for held in theirs]
        if sum(sizes) == whole and len(set(sizes)) > 1:
            return [(part.layer, dict(part.slots)) for part in stretches(packed, sizes)]
        if whole % count == 0:
            return [(part.layer, dict(part.slots)) for part in divided(packed, count)]
    raise StateError(f"map gives {name} {count} counterparts, but it is no dense layer of so many parts")


def _outputs(slots: Mapping[str, Slot], inside: int) -> int:
    """How many outputs the counterpart of a slice has, by its kernel or its bias."""
    kernel = next((slot for slot in slots.values() if len(slot.shape) > 1), None)
    if kernel is not None and math.prod(kernel.shape) % inside == 0:
        return math.prod(kernel.shape) // inside
    return math.prod(next(iter(slots.values())).shape)


def _known(name: str, side: str, states: Mapping[str, Arrays]) -> None:
    if name not in states[side]:
        raise StateError(f"map names {name}, which the {NAMES[side]} model does not have{nearest(name, states[side])}")
