"""What one side alone does between two steps that have a partner: padding by a layer, cropping, a change of axes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from ..backend import SIDES
from .layer import BLOCK, CUSTOM, Trace
from .layouts import Array, alike_in, inner
from .likeness import alike
from .paired import Paired
from .roles import MOVING

TURNING = frozenset({"flip", "reverse"})  # what a recurrent layer may do by a setting of its own
PASSING = MOVING | TURNING | {"zero_pad", "pad", "crop"}
PICKING = frozenset({"slice", "split", "stack"})  # where one side may pick other numbers
CHAIN = 4  # steps at most that are looked behind

Way = tuple[tuple[int, int], tuple[int, ...]]


class Linking:
    """Both traces and the pairs found in them, whose chains and tails it sets."""

    def __init__(self, traces: Mapping[str, Trace], pairs: Sequence[Paired]) -> None:
        self.traces, self.pairs = traces, pairs
        for pair in pairs:
            if pair.whole:
                self.link(pair)
                self.lengthen(pair)

    def link(self, pair: Paired) -> None:
        """Look for each argument behind what one side alone does to it on the way, such as padding by a layer."""
        for place in range(min(map(len, pair.sources))):
            ours, theirs = (self._ways(side, pair.sources[own][place]) for own, side in enumerate(SIDES))
            ways = sorted(itertools.product(ours, theirs), key=lambda both: len(both[0][1]) + len(both[1][1]))
            fits = [both for both in ways if inner(self._at("torch", both[0][0]), self._at("keras", both[1][0]))]
            good = [both for both in fits if alike(self._at("torch", both[0][0]), self._at("keras", both[1][0]))]
            good.sort(key=lambda both: not self._turned(both))
            for own, (side, (source, chain)) in enumerate(zip(SIDES, (good or fits or ways)[0], strict=True)):
                held = list(pair.sources[own])
                held[place] = source
                pair.sources = (tuple(held), pair.sources[1]) if own == 0 else (pair.sources[0], tuple(held))
                if chain:
                    pair.chains[side, place] = chain

    def _turned(self, both: tuple[Way, Way]) -> bool:
        """Whether two arguments hold the same numbers in the same order, of which one side then turns its own."""
        turning = any(
            self.traces[side].steps[place].role in TURNING
            for side, (_, chain) in zip(SIDES, both, strict=True)
            for place in chain
        )
        return turning and _same(self._at("torch", both[0][0]), self._at("keras", both[1][0]))

    def _ways(self, side: str, source: tuple[int, int]) -> list[Way]:
        """Where an argument may be looked for, with the positions of the steps between that place and itself."""
        own = list(SIDES).index(side)
        steps = self.traces[side].steps
        taken = {pair.places[own] for pair in self.pairs}
        made = {
            id(step.outputs[0]): place
            for place, step in reversed(list(enumerate(steps)))
            if step.outputs and place not in taken and step.role not in (BLOCK, CUSTOM)
        }
        found: list[Way] = [(source, ())]
        while len(found) <= CHAIN:
            before = made.get(id(self._at(side, found[-1][0])))
            if before is None or not steps[before].inputs or steps[before].role not in PASSING - PICKING:
                break
            found.append(((before, 0), (before, *found[-1][1])))
        return found

    def lengthen(self, pair: Paired) -> None:
        """Take what one side alone does behind a step, such as cropping, into it, where only then the results fit."""
        if inner(pair.torch.outputs[0], pair.keras.outputs[0]) is not None:
            return
        ours, theirs = (self._onwards(side, pair.places[own]) for own, side in enumerate(SIDES))
        made = [[self.traces[side].steps[way[-1]].outputs[0] for way in ways]
                for side, ways in zip(SIDES, (ours, theirs), strict=True)]  # fmt: skip
        both = sorted(itertools.product(range(len(ours)), range(len(theirs))), key=sum)
        for one, other in both:
            if inner(made[0][one], made[1][other]) is not None:
                pair.tails = {"torch": ours[one][1:], "keras": theirs[other][1:]}
                return

    def _onwards(self, side: str, place: int) -> list[tuple[int, ...]]:
        """A step and what a side alone does with its result, further and further."""
        own = list(SIDES).index(side)
        steps = self.traces[side].steps
        taken = {pair.places[own] for pair in self.pairs}
        found: list[tuple[int, ...]] = [(place,)]
        while len(found) <= CHAIN:
            made = steps[found[-1][-1]].outputs[0]
            users = [
                i
                for i, step in enumerate(steps)
                if i > place and step.role not in (BLOCK, CUSTOM) and any(made is one for one in step.inputs[:1])
            ]
            if len(users) != 1 or users[0] in taken or steps[users[0]].role not in PASSING:
                break
            found.append((*found[-1], users[0]))
        return found

    def _at(self, side: str, source: tuple[int, int]) -> Array:
        return self.traces[side].steps[source[0]].inputs[source[1]]


def _same(torch: Array, keras: Array) -> bool:
    """Whether two arrays hold the same numbers in the same order, in the layout that fits."""
    layout = inner(torch, keras)
    return layout is not None and torch.dtype.kind in "fiub" and alike_in(layout, torch, keras)
