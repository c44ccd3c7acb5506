"""Every planted bug must be caught and located, and the same check must find nothing wrong with a correct pair."""

from __future__ import annotations

import unittest

from diglot.core import registry, runner
from diglot.core.verdict import Verdict
from parameterized import parameterized

from . import planted
from .classes import by_spec

CATALOGUE = planted.catalogue()


def correct() -> list[runner.Task]:
    """Every check of every spec that has a bug and that the matrix has not, the checks of one spec side by side."""
    matrix = {(task.spec, task.check) for task in runner.plan(dtypes="float64")}
    cells = {(bug.spec, bug.check): None for bug in CATALOGUE if (bug.spec, bug.check) not in matrix}
    specs = list(dict.fromkeys(spec for spec, _ in cells))
    ordered = sorted(cells, key=lambda cell: specs.index(cell[0]))
    return [runner.Task(spec.name, spec, check, "float64", 0) for spec, check in ordered]


def planted_bugs(bugs: list[planted.Bug]) -> type[unittest.TestCase]:
    class PlantedBugs(unittest.TestCase):
        """A bug must be caught by its own check, and its own part blamed."""

        @parameterized.expand([(f"{bug.spec.name}_{bug.name}", bug) for bug in bugs])
        def test(self, _: str, bug: planted.Bug) -> None:
            cell = planted.meet(bug)
            self.assertNotEqual(cell.verdict, Verdict.EQUAL, cell)
            self.assertEqual(cell.located, bug.where, cell)

    return PlantedBugs


def correct_pairs(tasks: list[runner.Task]) -> type[unittest.TestCase]:
    class CorrectPairs(unittest.TestCase):
        """Without its bug, each pair is `equal`: no bug is a false alarm. The matrix has the presets."""

        @parameterized.expand([(f"{task.spec.name}_{task.check}", task) for task in tasks])
        def test(self, _: str, task: runner.Task) -> None:
            cell = runner.evaluate(task)
            self.assertEqual(cell.verdict, Verdict.EQUAL, cell)

    return CorrectPairs


globals().update(by_spec(CATALOGUE, planted_bugs))
globals().update(by_spec(correct(), correct_pairs))


class Catalogue(unittest.TestCase):
    """The catalogue itself."""

    def test_has_at_least_thirty_bugs(self) -> None:
        self.assertGreaterEqual(len(CATALOGUE), 30)

    def test_names_are_distinct(self) -> None:
        names = [(bug.spec.name, bug.name) for bug in CATALOGUE]
        self.assertEqual(len(names), len(set(names)))

    def test_both_sides_have_bugs_in_every_spec(self) -> None:
        for name in (*registry.architectures(), *registry.techniques()):
            with self.subTest(name):
                self.assertEqual({bug.side for bug in CATALOGUE if bug.spec.name == name}, {"torch", "keras"})
