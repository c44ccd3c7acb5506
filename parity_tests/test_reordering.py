"""Steps that take the same tensors in another order are told as such; others are not."""

from __future__ import annotations

import unittest

import numpy as np
from diglot.core.noise import generator
from diglot.core.port.layer import Step
from diglot.core.port.reordering import reordered

ONE, OTHER, THIRD = (generator(0, f"reordering {place}").normal(size=(2, 3, 4, 4)) for place in range(3))
MADE = [Step(name, "relu", (), (array,)) for name, array in (("a", ONE), ("b", OTHER), ("c", THIRD))]


def turned(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1).copy()


class Reordering(unittest.TestCase):
    """A concatenation of two tensors in both frameworks."""

    def said(self, *keras: np.ndarray, role: str = "concatenate") -> str:
        step = Step("cat", role, (ONE, OTHER), ())
        return reordered((step, MADE), (Step("merge", role, keras, ()), MADE))

    def test_another_order_in_another_layout_is_told(self) -> None:
        said = self.said(turned(OTHER), turned(ONE))
        self.assertIn("in the order `a`, `b`", said)

    def test_the_same_order_is_none(self) -> None:
        self.assertEqual(self.said(turned(ONE), turned(OTHER)), "")

    def test_another_tensor_is_no_other_order(self) -> None:
        self.assertEqual(self.said(turned(OTHER), turned(THIRD)), "")

    def test_a_sum_has_no_order(self) -> None:
        self.assertEqual(self.said(turned(OTHER), turned(ONE), role="add"), "")
