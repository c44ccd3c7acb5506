"""The catalogue of planted bugs: each is a mistake that people make, put into one side, to be caught and located.

One file per architecture or technique, found by scanning this folder; each holds a tuple `BUGS`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diglot.core import backend
from diglot.core.backend import Backend
from diglot.core.checks import CHECKS
from diglot.core.learning import Learner, LearningSpec
from diglot.core.pair import Pair
from diglot.core.results import Cell
from diglot.core.rules import Trio
from diglot.core.runner import Task, judge
from diglot.core.spec import Spec
from diglot.core.state import State
from diglot.core.technique import Arrays, Technique

from ..recall import recalled, recalled_opinion, recalled_study


@dataclass(frozen=True)
class ModelBug:
    """A bug in the built model of one side. `where` is the canonical name of the part that must be blamed."""

    name: str
    spec: Spec
    side: str
    check: str
    where: str
    plant: Callable[[Any], None]


@dataclass(frozen=True)
class LearnerBug:
    """A bug in how one side learns. `where` is what must be blamed: a quantity, a copy or `update of` an optimizer."""

    name: str
    spec: LearningSpec
    side: str
    where: str
    plant: Callable[[Any], None]

    check = "training"


@dataclass(frozen=True)
class TechniqueBug:
    """A bug in one side's technique: `trace` takes that side's true trace function, the spec and the case."""

    name: str
    spec: Technique
    side: str
    trace: Callable[[Callable[..., Arrays], Any, Arrays], Arrays]

    @property
    def where(self) -> str:
        """A technique is blamed as a whole."""
        return self.spec.name

    check = "rule"


Bug = ModelBug | LearnerBug | TechniqueBug


class PlantedPair(Pair):
    """A pair of which one side has a bug. The other is as it is for every bug of the spec."""

    def __init__(self, bug: ModelBug | LearnerBug) -> None:
        super().__init__(bug.spec)
        self.bug = bug
        self.planted: Any = None

    def side(self, side: str) -> Backend:
        return super().side(side) if side == self.bug.side else recalled(self.spec, side)

    def build(self, side: str, dtype: str) -> Any:
        model = super().build(side, dtype)
        if side == self.bug.side and isinstance(self.bug, ModelBug):
            self.bug.plant(model)
        return model

    def learnt(self, side: str, state: State, data: Arrays, steps: int) -> Arrays:
        if side == self.bug.side:
            return super().learnt(side, state, data, steps)
        return recalled_study(self.spec, side, self.seed)(state, data, steps)

    def learner(self, side: str, model: Any) -> Learner:
        learner = super().learner(side, model)
        if isinstance(self.bug, LearnerBug) and learner is not self.planted:  # Keras gives the same one again
            self.bug.plant(learner)
            self.planted = learner
        return learner


class PlantedTrio(Trio):
    """A technique of which one side has a bug. The rule and the other side are as they are for every bug of it.

    What the bug makes of its own side's true trace is run each time, as a bug may change the code that is traced.
    """

    def __init__(self, bug: TechniqueBug) -> None:
        super().__init__(bug.spec)
        self.bug = bug

    def opinion(self, who: str, case: Arrays) -> Arrays:
        return (
            recalled_opinion(self.technique, who, self.seed)(case, "float64")
            if who == "rule"
            else self.trace(who, case)
        )

    def trace(self, side: str, case: Arrays, dtype: str = "float64") -> Arrays:
        if side != self.bug.side:
            return recalled_opinion(self.technique, side, self.seed)(case, dtype)
        return self.bug.trace(self._true(side), self.technique, case)

    def _true(self, side: str) -> Callable[..., Arrays]:
        return lambda spec, case: backend.load(side).trace(spec, case)


def catalogue() -> list[Bug]:
    """Every planted bug."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return [bug for module in modules if module.__name__ != f"{__name__}.__main__" for bug in module.BUGS]


def meet(bug: Bug) -> Cell:
    """Run the bug's check and give its cell."""
    task = Task(bug.spec.name, bug.spec, bug.check, "float64", 0)
    if isinstance(bug, TechniqueBug):
        return judge(task, PlantedTrio(bug).check(bug.check), None)
    pair = PlantedPair(bug)
    return judge(task, CHECKS[bug.check][0](pair, "float64"), pair)
