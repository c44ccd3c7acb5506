"""Every planted bug must be caught and located, and the same check must find nothing wrong with a correct pair."""

from __future__ import annotations

import unittest
from typing import Any

from diglot.core import registry, runner
from diglot.core.verdict import Verdict
from parameterized import parameterized

from . import planted

CATALOGUE = planted.catalogue()


def correct() -> list[tuple[str, Any, str]]:
    """Every check of every spec that has a bug and that the matrix has not, the checks of one spec side by side."""
    matrix = {(task.spec, task.check) for task in runner.plan(dtypes="float64")}
    cells = {(bug.spec, bug.check): None for bug in CATALOGUE if (bug.spec, bug.check) not in matrix}
    specs = list(dict.fromkeys(spec for spec, _ in cells))
    ordered = sorted(cells, key=lambda cell: specs.index(cell[0]))
    return [(f"{spec.name}_{check}", spec, check) for spec, check in ordered]


class PlantedBugs(unittest.TestCase):
    """A bug must be caught by its own check, and its own part blamed."""

    @parameterized.expand([(f"{bug.spec.name}_{bug.name}", bug) for bug in CATALOGUE])
    def test(self, _: str, bug: planted.Bug) -> None:
        cell = planted.meet(bug)
        self.assertNotEqual(cell.verdict, Verdict.EQUAL, cell)
        self.assertEqual(cell.located, bug.where, cell)


class CorrectPairs(unittest.TestCase):
    """Without its bug, each pair is `equal`: no bug is a false alarm. The matrix has the presets."""

    @parameterized.expand(correct())
    def test(self, _: str, spec: Any, check: str) -> None:
        cell = runner.evaluate(runner.Task(spec.name, spec, check, "float64", 0))
        self.assertEqual(cell.verdict, Verdict.EQUAL, cell)


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
