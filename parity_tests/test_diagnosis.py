"""Users' models: a correct port passes, and of one with a mistake the layer and the cause are named."""

from __future__ import annotations

import unittest

from parameterized import parameterized

from . import diagnosis
from .classes import let_go
from .diagnosis import diagnose
from .ported import Pair, catalogue
from .ported.misses import MISSES

CATALOGUE = catalogue()


def diagnoses(family: str) -> type[unittest.TestCase]:
    """What is said of a port and of those that differ from it by one mistake; a class each, which workers share."""

    class Diagnoses(unittest.TestCase):
        @parameterized.expand([(pair.name, pair) for pair in CATALOGUE if pair.family == family])
        def test(self, _: str, pair: Pair) -> None:
            found = diagnose(pair)
            self.assertFalse(found.failed, found)
            self.assertEqual(found.passed, pair.correct, found)
            missed = MISSES.get(pair.name, ())
            if not pair.correct:
                self.assertEqual(found.right_layer, "layer" not in missed, found)
                self.assertEqual(found.right_cause, "cause" not in missed, found)

    Diagnoses.__name__ = Diagnoses.__qualname__ = f"Diagnoses_{family.replace(' ', '_').replace('-', '_')}"
    Diagnoses.tearDownClass = staticmethod(let_go)  # type: ignore[method-assign, assignment]
    return Diagnoses


globals().update({one.__name__: one for one in map(diagnoses, dict.fromkeys(pair.family for pair in CATALOGUE))})


class Suite(unittest.TestCase):
    """The pairs themselves."""

    def test_holds_enough_pairs(self) -> None:
        self.assertGreaterEqual(len(CATALOGUE), 60)
        self.assertGreaterEqual(sum(not pair.correct for pair in CATALOGUE), 42)
        self.assertGreaterEqual(sum(pair.correct for pair in CATALOGUE), 24)

    def test_names_are_distinct(self) -> None:
        self.assertEqual(len({pair.name for pair in CATALOGUE}), len(CATALOGUE))

    def test_a_third_leave_the_weights_to_diglot(self) -> None:
        self.assertGreaterEqual(3 * sum(pair.by != "hand" for pair in CATALOGUE), len(CATALOGUE))

    def test_misses_are_of_pairs(self) -> None:
        self.assertLessEqual(set(MISSES), {pair.name for pair in CATALOGUE})

    def test_the_figures_are_above_their_goals_with_the_misses(self) -> None:
        wrong = [pair for pair in CATALOGUE if not pair.correct]
        for word in ("layer", "cause"):
            missed = sum(word in MISSES.get(pair.name, ()) for pair in wrong)
            self.assertGreaterEqual(len(wrong) - missed, diagnosis.GOALS[f"right {word}"] * len(wrong))
