"""The checks of a technique: the NumPy rule, PyTorch and Keras on the same case, each two of them compared."""

from __future__ import annotations

import numpy as np

from . import backend, compare, floor
from .backend import SIDES
from .checks import Outcome, compare_accuracy
from .compare import Comparison
from .noise import generator
from .technique import Arrays, Technique
from .verdict import Verdict

NAMES = {"rule": "the rule", "torch": "PyTorch", "keras": "Keras"}
DTYPES = {"rule": ("float64",), "accuracy": ("float32",)}


class Trio:
    """One technique, checked with one seed."""

    def __init__(self, technique: Technique, seed: int = 0) -> None:
        self.technique: Technique = technique.rounded()
        self.seed = seed

    def case(self, move: str | None = None, side: str = "rule") -> Arrays:
        """The case, or the case moved by one unit in the last place, by a side's own coins."""
        case = self.technique.case(generator(self.seed, f"case {self.technique.name}"))
        return floor.moved(case, 3 * self.seed + list(NAMES).index(side), move) if move else case

    def trace(self, side: str, case: Arrays, dtype: str = "float64") -> Arrays:
        """What a side makes of a case."""
        return backend.load(side).trace(self.technique, case, dtype)

    def opinion(self, who: str, case: Arrays) -> Arrays:
        """What the rule or a side makes of a case."""
        return self.technique.rule(case) if who == "rule" else self.trace(who, case)

    def check(self, name: str) -> Outcome:
        """Run the check of this name."""
        return self.accuracy() if name == "accuracy" else self.rule()

    def rule(self) -> Outcome:
        """Three-way agreement in float64."""
        base = {who: self.opinion(who, self.case()) for who in NAMES}
        changing = self._changing(base)
        if changing:
            return Outcome(changing)
        floors = self._floors(base, floor.NARROW)
        found = self._compared(base, floors, None)
        if any(item.verdict is not Verdict.EQUAL and not item.complaint for item in found):
            found = self._compared(base, floors, self._floors(base, floor.WIDE))
        return Outcome(found)

    def _changing(self, base: dict[str, Arrays]) -> list[Comparison]:
        """What a side gives differently when it is run again: a draw that is not shared would hide any difference."""
        again = {side: self.trace(side, self.case()) for side in SIDES}
        return [
            compare.failed(f"{name} (the rule and {NAMES[side]})", "it is not the same when it is run again")
            for side in SIDES
            for name, array in again[side].items()
            if not np.array_equal(array, base[side].get(name, np.empty(0)))
        ]

    def _floors(self, base: dict[str, Arrays], move: str) -> dict[str, float]:
        moves = [floor.movement(base[who], self.opinion(who, self.case(move, who)), ulp=move) for who in NAMES]
        return floor.larger(floor.larger(moves[0], moves[1]), moves[2])

    def _compared(
        self, base: dict[str, Arrays], floors: dict[str, float], wide: dict[str, float] | None
    ) -> list[Comparison]:
        found = []
        for one, other in (("rule", "torch"), ("rule", "keras"), ("torch", "keras")):
            sides = NAMES[one], NAMES[other]
            for item in compare.every(base[one], base[other], floors, wide, sides):
                found.append(item.renamed(f"{item.name} ({sides[0]} and {sides[1]})"))
        return found

    def accuracy(self) -> Outcome:
        """Each side's float32 error against its own float64."""
        case = floor.representable(self.case())
        moved = floor.moved(case, self.seed, floor.WIDE)
        runs = [
            (self.trace(side, case), self.trace(side, case, "float32"), self.trace(side, moved, "float32"))
            for side in SIDES
        ]
        return Outcome(compare_accuracy(*runs))
