"""An attention that is one layer on one side and several layers on the other: what each computes in its own run."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from ..backend import SIDES
from ..formulas.attention import additive
from ..formulas.found import digits
from ..technique import Arrays
from .computing import by_formula, needed, same, sharing
from .evidence import Agreeing, Array, Cause, labels, told
from .identifying import identified
from .layer import BLOCK, CUSTOM, Slot, Step
from .layouts import usual
from .mapping import Match
from .porting import Porting, pieces_of
from .replaying import Agreement
from .roles import MOVING
from .several import QKV
from .subject import Subject

PASSING = MOVING | {BLOCK, CUSTOM}
EXACT = 15.0


def cause(porting: Porting, index: int) -> Cause | None:
    """Why the results of an attention and of the layers that stand for it differ, or None where nothing tells."""
    pair = porting.pairs[index]
    if pair.torch.role == pair.keras.role and pair.whole:
        return None
    slots = _slots(porting, index)
    if any(f"{part}.kernel" not in slots for part in (*QKV, "output")):
        return None
    for own, side in enumerate(SIDES):
        steps = porting.traces[side].steps[: pair.places[own] + 1]
        called = {step.layer for step in steps[:-1] if step.inputs}
        if steps[-1].role != "attention" and any(slots[f"{part}.kernel"][0].layers[own] not in called for part in QKV):
            return None
    span = Spanning(porting, index, slots)
    return span.by_masks() or span.by_parts() or by_formula(span)


def _slots(porting: Porting, index: int) -> dict[str, tuple[Match, Slot]]:
    """The matches of an attention's weights, and its slots, by their names."""
    pair = porting.pairs[index]
    for place, side in enumerate(SIDES):
        step = porting.traces[side].steps[pair.places[place]]
        for layer in porting.subjects[side].layers:
            if step.role == "attention" and layer.name == step.layer:
                held = {
                    (piece.tensor, piece.pick): match
                    for match in porting.mapping.matches
                    if match.name in pair.weights
                    for piece in pieces_of(match, side)
                }
                keys = {slot: (slot.pieces[0].tensor, slot.pieces[0].pick) for slot in layer.slots}
                return {slot.name: (held[key], slot) for slot, key in keys.items() if key in held}
    return {}


class Spanning:
    """Such a pair as each side ran it: inputs and results of the whole models' run, in Keras's layout."""

    def __init__(self, porting: Porting, index: int, slots: dict[str, tuple[Match, Slot]]) -> None:
        self.porting, self.index, self.slots = porting, index, slots
        self.pair = porting.pairs[index]
        self.torch: Subject = porting.subjects["torch"]
        self.keras: Subject = porting.subjects["keras"]
        self.given = {side: self._given(side) for side in SIDES}
        self.masks = {side: [_narrow(array) for array in self._masks(side)] for side in SIDES}
        one, other = ((*self._laid(side), *self.masks[side]) for side in SIDES)
        self.steps: tuple[Step, Step] = (
            replace(self.pair.torch, role="attention", inputs=one),
            replace(self.pair.keras, role="attention", inputs=other),
        )

    def arrays(self, side: str) -> tuple[tuple[Array, ...], Array]:
        """Query, key, value and every mask, each tensor once, and the result."""
        torch, keras = self.porting.results(self.index)
        layout = self.porting.layouts.get(f"tap {self.index}") or usual(torch)
        result = layout.to_keras(torch) if side == "torch" else keras
        step = self.steps[list(SIDES).index(side)]
        return tuple(step.inputs[place] for place in dict.fromkeys(sharing(step))), result

    def tensors(self, side: str) -> Arrays:
        """The weights by the names of an attention's slots, in its canonical axes."""
        held = self.porting.canonical(side, self.porting.states[side])
        chosen = {name: (held[match.name], slot.shape) for name, (match, slot) in self.slots.items()}
        return {name: array.reshape(shape) for name, (array, shape) in chosen.items() if array.size == np.prod(shape)}

    def agree(
        self, torch_step: Step | None = None, keras_step: Step | None = None, *, training: bool = False
    ) -> Agreeing:
        """Whether the results agree in the models' own run, the only one that there is of such a pair."""
        common = digits(self.arrays("torch")[1], self.arrays("keras")[1])
        return Agreement(common >= EXACT, common, "output")

    def by_masks(self) -> Cause | None:
        """Whether both attend alike, each by its own mask, and only these masks are not the same."""
        if any(len(masks) != 1 or masks[0].dtype.kind != "b" for masks in self.masks.values()):
            return None
        one, other = (np.squeeze(masks[0]) for masks in self.masks.values())
        if one.shape != other.shape or np.array_equal(one, other):
            return None
        found = []
        for side, step in zip(SIDES, self.steps, strict=True):
            found.append(identified(step.inputs, self.arrays(side)[1], self.tensors(side), needed(self)))
        if (pair := same(*found)) is None:
            return None
        names, apart = labels(self), int(np.sum(one != other))
        how = "is the opposite of" if apart == one.size else f"differs in {apart} of {one.size} places from"
        text = f"the mask that {names[1]} is given {how} the one that {names[0]} is given, and both compute"
        return Cause(f"{text} {pair[0].name} (to {told(min(one.digits for one in pair))})", "masked", True)

    def by_parts(self) -> Cause | None:
        """Whether the one side's attention is the other's with the weights of two of its parts exchanged."""
        own = [self.tensors(side) for side in SIDES]
        results = [self.arrays(side)[1] for side in SIDES]
        for place, names in ((0, labels(self)), (1, labels(self)[::-1])):
            known = identified(self.steps[1 - place].inputs, results[1 - place], own[1 - place], needed(self))
            for one, other in itertools.combinations(QKV, 2) if known else ():
                turned = {one: other, other: one}
                weights = {
                    ".".join((turned.get(part, part), kind)): array
                    for name, array in own[place].items()
                    for part, _, kind in [name.partition(".")]
                }
                if pair := same(identified(self.steps[place].inputs, results[place], weights, needed(self)), known):
                    text = f"{names[0]} has the weights of {names[1]}, but those of {one} and {other} swapped"
                    return Cause(f"{text}: with these it is {pair[0].name} (to {told(pair[0].digits)})", "", True)
        return None

    def _laid(self, side: str) -> tuple[Array, ...]:
        """The three inputs in Keras's layout."""
        if side == "keras":
            return tuple(self.given[side])
        known = {id(array): place for place, array in enumerate(self.porting.arguments(self.index)[0])}
        layouts = [
            self.porting.layouts.get(f"input {self.index} {known.get(id(array), 0)}") for array in self.given[side]
        ]
        return tuple(
            (layout or usual(array)).to_keras(array) for layout, array in zip(layouts, self.given[side], strict=True)
        )

    def _given(self, side: str) -> list[Array]:
        """What a side's query, key and value are computed from."""
        step = self._last(side)
        if step.role == "attention":
            return list(step.inputs[:3])
        return [self.porting.traces[side].steps[place].inputs[0] for place in self._projections(side)]

    def _masks(self, side: str) -> list[Array]:
        """The masks that a side is given, or that its own code applies on the way."""
        step = self._last(side)
        if step.role == "attention":
            return list(step.inputs[3:])
        steps = self.porting.traces[side].steps
        last = self.pair.places[list(SIDES).index(side)]
        within = [one for one in steps[min(self._projections(side)) : last] if one.role not in PASSING]
        found = {id(array): array for one in within for array in one.inputs if _hides(array)}
        return list(found.values())

    def _last(self, side: str) -> Step:
        return self.porting.traces[side].steps[self.pair.places[list(SIDES).index(side)]]

    def _projections(self, side: str) -> list[int]:
        """Where a side computes query, key and value: the last calls before the result."""
        own = list(SIDES).index(side)
        steps = self.porting.traces[side].steps
        layers = [self.slots[f"{part}.kernel"][0].layers[own] for part in QKV]
        return [
            max(place for place in range(self.pair.places[own]) if steps[place].layer == layer and steps[place].inputs)
            for layer in layers
        ]


def _hides(array: Array) -> bool:
    return array.ndim > 1 and (array.dtype.kind == "b" or additive(array))


def _narrow(mask: Array) -> Array:
    """A mask without the copies of itself along heads and queries, which one side may have and the other not."""
    for axis in range(1, mask.ndim - 1):
        first = np.take(mask, [0], axis)
        mask = first if np.array_equal(np.broadcast_to(first, mask.shape), mask) else mask
    return mask
