"""Real data: what each framework's own users would run, trained and predicted the same on both sides."""

from __future__ import annotations

import contextlib
import functools
import io
import unittest
from unittest import mock

import numpy as np
from diglot.core.backend import SIDES
from diglot.core.errors import DiglotError, SpecError
from diglot.core.recipe import Recipe
from diglot.core.verdict import Verdict
from parameterized import parameterized

from diglot.demo import main
from diglot.demo_digits import NETWORKS, digits
from diglot.demo_mnist import mnist, transfer
from diglot.demo_pair import Result, same_recipe
from diglot.demo_text import PROMPT, descriptions, text

ACCURACY = 0.96
OF_BASELINE = 0.8

trained_digits = functools.cache(digits)
trained_text = functools.cache(text)


def trained(network: str) -> Result:
    return trained_digits(network) if network in NETWORKS else trained_text()


def planted(optimizer: str, rate: float, factor: float, **fields: float) -> dict[str, Recipe]:
    """A recipe for both sides, but for Keras's learning rate."""
    off = same_recipe(optimizer, learning_rate=rate * factor, **fields)["keras"]
    return {**same_recipe(optimizer, learning_rate=rate, **fields), "keras": off}


def run_main(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as stopped:
            status = int(stopped.code or 0)
    return status, out.getvalue(), err.getvalue()


class Trained(unittest.TestCase):
    """All that reads the trained networks: one class, as one worker runs a class, so that each trains once."""

    @parameterized.expand([*NETWORKS, "transformer_lm"])
    def test_the_loss_history_is_equal(self, network: str) -> None:
        result = trained(network)
        loss = result.comparisons["loss"]
        self.assertIs(loss.verdict, Verdict.EQUAL, loss)
        for side in SIDES:
            losses = result.sides[side].losses
            self.assertEqual((losses.dtype, losses.ndim), (np.float64, 1))
            self.assertLess(losses[-1], losses[0])

    @parameterized.expand([*NETWORKS, "transformer_lm"])
    def test_all_held_out_predictions_are_the_same(self, network: str) -> None:
        result = trained(network)
        self.assertGreater(result.targets.size, 0)
        self.assertEqual(result.same, result.targets.size)

    @parameterized.expand([*NETWORKS, "transformer_lm"])
    def test_everything_is_equal(self, network: str) -> None:
        result = trained(network)
        self.assertIs(result.verdict, Verdict.EQUAL, result.comparisons)
        self.assertLessEqual({"loss", "logits", "predictions"}, set(result.comparisons))

    @parameterized.expand(NETWORKS)
    def test_accuracy(self, network: str) -> None:
        for side in SIDES:
            self.assertGreaterEqual(trained(network).accuracy(side), ACCURACY)

    def test_both_sides_are_far_better_than_the_unigram_model(self) -> None:
        for side in SIDES:
            self.assertLess(trained_text().bits(side), OF_BASELINE * trained_text().baseline)

    def test_both_sides_write_the_same(self) -> None:
        one, other = (trained_text().continuations[side] for side in SIDES)
        self.assertEqual(one, other)
        self.assertTrue(one.startswith(PROMPT))
        self.assertGreater(len(one), len(PROMPT))

    def test_every_document_is_in_one_part(self) -> None:
        self.assertEqual(sum(trained_text().documents), len(descriptions()))

    def test_what_is_the_same_is_printed_and_the_status_is_0(self) -> None:
        with mock.patch("diglot.demo.digits", trained_digits), mock.patch("diglot.demo.text", trained_text):
            runs = [run_main("digits"), run_main("text")]
        out = "".join(printed for _, printed, _ in runs)
        self.assertEqual([status for status, _, _ in runs], [0, 0])
        self.assertEqual(out.count("loss history: equal"), 3)
        for network in (*NETWORKS, "transformer_lm"):
            self.assertIn(network, out)


class MNIST(unittest.TestCase):
    """Shortened: docs/real-data.md has the whole runs, with `python -m diglot.demo mnist`."""

    def same(self, result: Result) -> None:
        self.assertIs(result.verdict, Verdict.EQUAL, result.comparisons)
        self.assertEqual(result.same, result.targets.size)

    @parameterized.expand([("resnet", 2, 0.9), ("vit", 2, 0.5)])
    def test_both_sides_learn_the_same(self, network: str, epochs: int, accuracy: float) -> None:
        result = mnist(network, epochs=epochs)
        self.same(result)
        for side in SIDES:
            self.assertGreaterEqual(result.accuracy(side), accuracy)

    def test_transfer_beats_training_from_scratch_by_the_same_figures(self) -> None:
        found = transfer(epochs=3)
        for result in found.titled().values():
            self.same(result)
        for side in SIDES:
            self.assertGreater(found.transferred.accuracy(side), found.scratch.accuracy(side))

    def test_another_network_is_refused(self) -> None:
        with self.assertRaisesRegex(SpecError, "MNIST has no network 'resnett'; did you mean 'resnet'?"):
            mnist("resnett")


class Planted(unittest.TestCase):
    """A check must be able to fail."""

    def test_a_learning_rate_that_is_a_thousandth_off(self) -> None:
        recipes = planted("sgd", 0.05, 1.001, momentum=0.9)
        self.assertIsNot(digits("mlp", epochs=1, recipes=recipes).verdict, Verdict.EQUAL)

    def test_a_learning_rate_that_is_a_thousandth_off_on_text(self) -> None:
        self.assertIsNot(text(steps=20, recipes=planted("adam", 0.006, 1.001)).verdict, Verdict.EQUAL)


class Command(unittest.TestCase):
    def test_a_difference_is_status_1(self) -> None:
        other = digits("mlp", epochs=1, recipes=planted("sgd", 0.02, 1.001, momentum=0.9))
        with mock.patch("diglot.demo.digits", return_value=other):
            status, out, _ = run_main("digits")
        self.assertEqual(status, 1)
        self.assertNotIn("loss history: equal", out)

    @parameterized.expand(["digits", "text", "mnist", "translation"])
    def test_without_the_data_one_sentence_names_the_extra(self, data: str) -> None:
        with mock.patch("importlib.util.find_spec", return_value=None):
            status, _, err = run_main(data)
        self.assertEqual(status, 2)
        self.assertIn("diglot[demo]", err)
        self.assertNotIn("Traceback", err)

    def test_other_data_is_status_2(self) -> None:
        self.assertEqual(run_main("faces")[0], 2)

    def test_another_network_is_refused(self) -> None:
        with self.assertRaises(SpecError) as caught:
            digits("resnett")
        self.assertIsInstance(caught.exception, DiglotError)
        self.assertIn("'resnet'", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
