"""The page on a layer and a loss of one's own: its program runs, and what it says of the usual snippet is so."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


def program() -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))


def squared_error(y_true: Any, y_pred: Any) -> Any:
    """The document's loss."""
    return tf.reduce_mean(tf.square(y_true - y_pred))


class Projection(keras.layers.Layer):
    """The document's layer."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True)

    def call(self, inputs: Any) -> Any:
        return tf.matmul(inputs, self.w)


@functools.cache
def ran() -> tuple[dict[str, Any], list[str]]:
    """The names that the program leaves, and the lines that it prints."""
    names: dict[str, Any] = {"__name__": "extending"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(program(), str(PAGE), "exec"), names)
    return names, printed.getvalue().splitlines()


class Page(unittest.TestCase):
    def test_the_program_runs(self) -> None:
        _, lines = ran()
        self.assertEqual(len(lines), 12)
        self.assertTrue(all(" equal, 1" in line for line in lines), lines)

    def test_both_refuse_two_shapes(self) -> None:
        names, _ = ran()
        for call in (
            lambda: names["QuantileLoss"](0.5)(names["torch"].ones(4, 1), names["torch"].ones(4)),
            lambda: names["KerasQuantileLoss"](0.5)(np.ones(4), np.ones((4, 1))),
        ):
            self.assertRaisesRegex(ValueError, r"outputs are \(4, 1\) and targets \(4,\); give both one shape", call)


class Snippet(unittest.TestCase):
    def test_its_file_cannot_be_read(self) -> None:
        model = keras.Sequential([keras.Input((3,)), Projection(2)])
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            with self.assertRaises((TypeError, ValueError)):
                keras.models.load_model(f"{folder}/model.keras", custom_objects={"Projection": Projection})

    def test_its_loss_is_blind_to_sample_weights(self) -> None:
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", squared_error)
        x, y, weights = np.array([[0.0], [3.0]]), np.zeros((2, 1)), np.array([2.0, 0.0])
        self.assertEqual(model.evaluate(x, y, sample_weight=weights, verbose=0), 4.5)
        model.compile("sgd", "mean_squared_error")
        self.assertEqual(model.evaluate(x, y, sample_weight=weights, verbose=0), 0.0)

    def test_its_loss_broadcasts(self) -> None:
        y_true, y_pred = np.array([0.0, 2.0], "float32"), np.array([[0.0], [2.0]], "float32")
        self.assertEqual(float(squared_error(y_true, y_pred)), 2.0)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", squared_error)
        self.assertEqual(model.evaluate(y_pred, y_true, verbose=0), 0.0)
