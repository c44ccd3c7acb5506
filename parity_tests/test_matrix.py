"""The cross-framework matrix: every small preset and every technique, each check a named test."""

from __future__ import annotations

import unittest

from diglot.core import runner
from diglot.core.verdict import Verdict
from parameterized import parameterized


def cells() -> list[tuple[str, runner.Task]]:
    return [("_".join(task.key()), task) for task in runner.plan()]


class Matrix(unittest.TestCase):
    """Diglot's own siblings must be `equal`, in every cell."""

    @parameterized.expand(cells())
    def test(self, _: str, task: runner.Task) -> None:
        cell = runner.evaluate(task)
        self.assertEqual(cell.verdict, Verdict.EQUAL, cell)
        self.assertGreater(cell.tensors, 0)
