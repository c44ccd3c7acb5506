"""The cross-framework matrix: every small preset and every technique, each check a named test."""

from __future__ import annotations

import unittest

from diglot.core import runner
from diglot.core.verdict import Verdict
from parameterized import parameterized

from .classes import by_spec


def matrix(tasks: list[runner.Task]) -> type[unittest.TestCase]:
    class Matrix(unittest.TestCase):
        """Diglot's own siblings must be `equal`, in every cell."""

        @parameterized.expand([("_".join(task.key()), task) for task in tasks])
        def test(self, _: str, task: runner.Task) -> None:
            cell = runner.evaluate(task)
            self.assertEqual(cell.verdict, Verdict.EQUAL, cell)
            self.assertGreater(cell.tensors, 0)

    return Matrix


globals().update(by_spec(runner.plan(), matrix))
