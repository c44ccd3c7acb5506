"""The slots of an optimizer, tensor by tensor of one framework, out of those of the other's tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..axes import parse
from ..errors import StateError
from ..technique import Arrays
from .held import Held, Trained
from .mapping import Match, WeightMapping
from .piece import Piece
from .rule import LABELS, Difference

SIGNS = {"sgd": -1.0, "rmsprop": 1.0}
"""What one unit of an accumulated gradient is worth as an accumulated update, in units of the rate."""


def pieces(match: Match, held: Held) -> list[Piece]:
    """A weight's places on a side, as far as its optimizer trains them."""
    return [piece for piece in getattr(match, held.side) if piece.tensor in held.trained]


def untrained(mapping: WeightMapping, source: Held, target: Held) -> list[str]:
    """The target's tensors of weights that neither optimizer trains, and in which nothing else is trained."""
    names = [
        piece.tensor
        for match in mapping.matches
        for piece in getattr(match, target.side)
        if match.trainable and not pieces(match, source)
    ]
    return [name for name in dict.fromkeys(names) if name not in target.trained]


def moved(mapping: WeightMapping, source: Held, target: Held) -> dict[str, Arrays]:
    """Every slot of the target's tensors, in their layout; zeros where the source has none.

    Of several tensors that are summed, and are trained alike, it is the mean. A largest second moment that the source
    does not keep starts from the second moment.
    """
    result = {
        name: {slot: np.zeros_like(array) for slot, array in trained.slots.items()}
        for name, trained in target.trained.items()
    }
    for match in mapping.matches:
        ones = pieces(match, source)
        for other in pieces(match, target) if ones else []:
            trained = target.trained[other.tensor]
            for slot, whole in result[other.tensor].items():
                parts = [part for one in ones if (part := _part(match, one, other, slot, source, trained)) is not None]
                if parts:
                    place, axes = _place(match, other, trained.lost.get(slot))
                    place.write(whole, np.mean(parts, axis=0).astype(whole.dtype), axes)
    return result


def _part(match: Match, one: Piece, other: Piece, slot: str, source: Held, target: Trained) -> NDArray[Any] | None:
    """What becomes of a slot in the target's place, in the canonical layout; None where the source has nothing."""
    held = source.trained[one.tensor]
    axis = target.lost.get(slot)
    name = slot if axis is None else _by_lost(one, held).get(other.names(axis), "")
    name = "v" if name == "v_max" and name not in held.slots else name
    if name not in held.slots:
        return None
    place, axes = _place(match, one, held.lost.get(name))
    part = place.read(held.slots[name], axes)
    return part if slot != "velocity" else part * _unit(held, target, one.tensor)


def _unit(held: Trained, target: Trained, name: str) -> float:
    """What one unit of the source's velocity is in the target's convention, at the source's present rate."""
    kinds = held.rule.settings["velocity"], target.rule.settings["velocity"]
    if kinds[0] == kinds[1]:
        return 1.0
    unit = SIGNS[held.rule.family] * held.rule.rate
    if kinds == ("gradient", "update"):
        return unit
    if not unit:
        raise StateError(f"the rate of {name} is 0, so its velocity tells no gradients; hand over after the next step")
    return 1 / unit


def _by_lost(piece: Piece, held: Trained) -> dict[tuple[str, ...], str]:
    """The slots that are means, by the names of what they are means over."""
    return {piece.names(axis): slot for slot, axis in held.lost.items()}


def _place(match: Match, piece: Piece, lost: int | None) -> tuple[Piece, str]:
    """Where a slot lies, and its canonical axes."""
    if lost is None:
        return piece, match.axes
    gone = piece.names(lost)
    return piece.without(lost), " ".join(name for group in parse(match.axes) for name in group if name not in gone)


def factors(mapping: WeightMapping, source: Held, target: Held) -> Iterator[Difference]:
    """Where factors, or a step that is scaled by a whole tensor, cannot be the same on both sides."""
    partners: dict[str, dict[str, set[str]]] = {"torch": {}, "keras": {}}
    for match in mapping.matches:
        for one in pieces(match, source):
            for other in pieces(match, target):
                partners[source.side].setdefault(one.tensor, set()).add(other.tensor)
                partners[target.side].setdefault(other.tensor, set()).add(one.tensor)
    parted, unlike = [], []
    for match in mapping.matches:
        for one in pieces(match, source):
            for other in pieces(match, target):
                ours, theirs = source.trained[one.tensor], target.trained[other.tensor]
                if len(partners[source.side][one.tensor]) > 1 or len(partners[target.side][other.tensor]) > 1:
                    parted.append(match.name)
                elif set(_by_lost(one, ours)) != set(_by_lost(other, theirs)):
                    unlike.append(match.name)
    if parted:
        told = "Adafactor scales each step by a whole tensor, and these are one tensor only on one side"
        yield Difference("factored_axes", told, tuple(parted))
    if unlike:
        told = f"{LABELS[source.side]} keeps the means over other axes than {LABELS[target.side]}"
        yield Difference("factored_axes", told, tuple(unlike))


def summed(mapping: WeightMapping, held: Held, state: Mapping[str, NDArray[Any]]) -> Iterator[Difference]:
    """Where the sum of several tensors of one side would be trained otherwise than one tensor of the other."""
    both, decaying = [], []
    for match in mapping.matches:
        own, trained = getattr(match, held.side), pieces(match, held)
        if len(own) > 1 and len(trained) > 1:
            both.append(match.name)
        elif len(own) > 1 and trained:
            rule = held.trained[trained[0].tensor].rule
            scaled = rule.settings["weight_decay"] or rule.family == "adafactor"
            rest = [piece for piece in own if piece not in trained]
            if scaled and any(np.any(piece.read(state[piece.tensor], match.axes)) for piece in rest):
                decaying.append(match.name)
    side = LABELS[held.side]
    if both:
        told = (
            f"{side} trains two tensors whose sum is one weight in the other framework, which then moves twice as far"
        )
        yield Difference("summed", f"{told}; freeze one of the two", tuple(both))
    if decaying:
        told = f"{side} trains one of two tensors whose sum is one weight in the other framework, and scales or decays"
        yield Difference("summed", f"{told} it by itself; fill the frozen one with zeros", tuple(decaying))


def tied(mapping: WeightMapping, held: Held) -> Iterator[Difference]:
    """Where one tensor of a side is two of the other, which part in the next step."""
    found: dict[tuple[object, ...], list[str]] = {}
    for match in mapping.matches:
        for piece in pieces(match, held):
            found.setdefault((piece.tensor, piece.pick, piece.span), []).append(match.name)
    twice = tuple(name for names in found.values() if len(set(names)) > 1 for name in names)
    if twice:
        told = f"{LABELS[held.side]} has one tensor for what are two in the other framework, which then part"
        yield Difference("tied", told, twice)
