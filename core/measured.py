"""Two sides compared on one job, against noise floors that are measured on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import compare, floor, verdict
from .backend import SIDES
from .compare import Comparison
from .state import State
from .technique import Arrays
from .verdict import Verdict

THROWS = 4
Job = Callable[[str, State, list[Arrays]], Arrays]
Floors = dict[str, float]
Compared = Callable[[dict[str, Arrays], Floors, Floors | None], list[Comparison]]


def floors(base: dict[str, Arrays], moved: dict[str, Arrays], ulp: str = floor.NARROW) -> Floors:
    """The noise floor of every tensor: the larger of the two sides' own movements, by a unit of that precision."""
    return floor.larger(*[floor.movement(base[side], moved[side], ulp=ulp) for side in SIDES])


def _label(side: str) -> str:
    return compare.SIDES[list(SIDES).index(side)]


def _decided(side: str, name: str) -> Comparison:
    how = f"it is decided by rounding in {_label(side)}, so that nothing else can be compared; try another seed"
    return compare.failed(name, how)


def of_sides(base: dict[str, Arrays], floors: Floors, wide: Floors | None = None) -> list[Comparison]:
    """Side against side."""
    return compare.every(base["torch"], base["keras"], floors, wide)


class Measured:
    """What both sides of one network have in common while they are compared. `narrow` is the precision they run in."""

    seed: int
    narrow = floor.NARROW

    def run(self, side: str, job: Job, batches: list[Arrays], move: str | None = None, throw: int = 0) -> Arrays:
        """A job on one side; with `move`, after every weight and input has moved by a unit of that precision.

        Each side moves by its own coins, and anew with each throw, so that the floor rests on several movements.
        """
        raise NotImplementedError

    def coins(self, side: str, throw: int) -> int:
        """The seed of a side's movements."""
        return 2 * self.seed + list(SIDES).index(side) + 100_000 * throw

    def moved(self, job: Job, batches: list[Arrays], move: str, throw: int = 0) -> dict[str, Arrays]:
        """What each side comes to after a movement."""
        return {side: self.run(side, job, batches, move, throw) for side in SIDES}

    def measure(
        self, job: Job, batches: list[Arrays], compared: Compared = of_sides, *, wide: bool = True
    ) -> list[Comparison]:
        """Both sides compared on a job, against the measured floor.

        More movements are measured where the ratio is in doubt, and the wider floor only where it decides: with `wide`
        off, where it matters which tensors are equal and not how far from it the others are, not at all.
        """
        base = {side: self.run(side, job, batches) for side in SIDES}
        narrow: Floors = {}
        found: list[Comparison] = []
        for throw in range(THROWS):
            moved = self.moved(job, batches, self.narrow, throw)
            narrow = floor.larger(narrow, floors(base, moved))
            decided = {side: floor.decided(base[side], moved[side]) for side in SIDES}
            for side in SIDES if throw == 0 else ():
                if changing := self.changing(side, base[side], narrow, decided[side], job, batches):
                    return changing
            if complaints := [_decided(side, name) for side in SIDES for name in decided[side]]:
                return complaints
            found = compared(base, narrow, None)
            if not any(verdict.is_doubtful(item.ratio) for item in found):
                break
        if wide and any(item.verdict is not Verdict.EQUAL and not item.complaint for item in found):
            found = compared(base, narrow, floors(base, self.moved(job, batches, floor.WIDE), floor.WIDE))
        return found

    def changing(
        self, side: str, base: Arrays, floors: Floors, decided: list[str], job: Job, batches: list[Arrays]
    ) -> list[Comparison]:
        """What a side gives differently when it is run again, where a movement changes more than by rounding alone.

        Such a floor would hide any difference: a draw that is not shared makes it as large as the tensor.
        """
        high = [name for name in floors if name in base and floors[name] > floor.unit(base[name], floor.WIDE)]
        names = [name for name in base if name in {*high, *decided}]
        again = self.run(side, job, batches) if names else base
        return [
            compare.failed(name, f"it is not the same when {_label(side)} is run again")
            for name in names
            if name not in again or not np.array_equal(base[name], again[name])
        ]
