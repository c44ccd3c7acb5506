"""What moves by a unit in the last place where users' models are compared, and what they decide by stays."""

from __future__ import annotations

import unittest

import numpy as np
from diglot.core.port.moving import moved
from parameterized import parameterized


class Moving(unittest.TestCase):
    @parameterized.expand(
        [("a mask", np.tril(np.ones((3, 3)))), ("what is added to scores", np.triu(np.full((3, 3), -np.inf), 1)),
         ("padding", np.zeros(4)), ("whole numbers", np.arange(4))]
    )  # fmt: skip
    def test_stays(self, name: str, array: np.ndarray) -> None:
        self.assertTrue(np.array_equal(moved({name: array}, 0, "float64")[name], array))

    def test_numbers_move_around_zeros(self) -> None:
        array = np.array([0.0, 0.5, -2.0, np.inf])
        found = moved({"held": array}, 0, "float64")["held"]
        self.assertEqual((found != array).tolist(), [False, True, True, False])

    def test_zeros_move_in_what_is_trained(self) -> None:
        self.assertTrue(np.all(moved({"bias": np.zeros(4)}, 0, "float64", lambda name: True)["bias"] != 0))
