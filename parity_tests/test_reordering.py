"""Steps that take the same tensors in another order, or run in another one, are told as such; others are not."""

from __future__ import annotations

import unittest

import numpy as np
from diglot.core.noise import generator
from diglot.core.port.layer import Step
from diglot.core.port.paired import Paired
from diglot.core.port.reordering import reordered
from diglot.core.port.swapping import swapped

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


class Swapping(unittest.TestCase):
    """Two layers one behind the other, by their weights in another order in Keras, or side by side."""

    def said(self, *keras: Step) -> str:
        torch = [Step("one", "dense", (ONE,), (OTHER,)), Step("two", "dense", (OTHER,), (THIRD,))]
        places = {step.name: place for place, step in enumerate(keras)}
        pairs = [
            Paired(step, keras[places[step.name]], (place, places[step.name]), frozenset({step.name}))
            for place, step in enumerate(torch)
        ]
        return swapped(0, pairs, torch, keras)

    def test_layers_in_another_order_are_told(self) -> None:
        said = self.said(Step("two", "dense", (ONE,), (OTHER,)), Step("one", "dense", (OTHER,), (THIRD,)))
        self.assertIn("PyTorch's `one` and `two` are Keras's `one` and `two`, which run in the other order", said)

    def test_layers_in_one_order_or_side_by_side_are_not(self) -> None:
        first, second = Step("one", "dense", (ONE,), (OTHER,)), Step("two", "dense", (OTHER,), (THIRD,))
        self.assertEqual(self.said(first, second), "")
        self.assertEqual(self.said(Step("two", "dense", (ONE,), (THIRD,)), first), "")
