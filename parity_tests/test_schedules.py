"""Schedules of the rate: the papers' figures, the frameworks' own where there is one, and a whole recipe and file."""

from __future__ import annotations

import tempfile
import unittest

import diglot.keras_impl.fitting as keras_fitting
import diglot.torch_impl.fitting as torch_fitting
import keras
import numpy as np
import torch
from diglot.core import compare, registry
from diglot.core.backend import Recipe
from diglot.core.checks import training
from diglot.core.errors import SpecError
from diglot.core.noise import generator
from diglot.core.pair import Pair
from diglot.core.technique import Technique
from diglot.core.techniques.inverse_square_root import InverseSquareRoot
from diglot.core.verdict import Verdict
from diglot.torch_impl.techniques import one_cycle
from parameterized import parameterized

import diglot

SCHEDULES = (
    registry.make("one_cycle_paper", learning_rate=0.05, total_steps=30).rounded(),
    registry.make("one_cycle", learning_rate=0.05, total_steps=12).rounded(),
    registry.make("inverse_square_root", factor=0.2, d_model=16, warmup_steps=5).rounded(),
)
NAMED = [(f"{schedule.name}_{number}", schedule) for number, schedule in enumerate(SCHEDULES)]


def recipe(schedule: Technique) -> Recipe:
    return Recipe(registry.make("adam").rounded(), registry.make("cross_entropy").rounded(), schedule)


class Trained(Pair):
    schedule = SCHEDULES[0]

    def recipe(self, side: str) -> Recipe:
        return recipe(self.schedule)


class Recipes(unittest.TestCase):
    @parameterized.expand(NAMED[1:])
    def test_equal(self, name: str, schedule: Technique) -> None:
        """The check trains for longer than a cycle of 12 steps, whose rate then stays."""
        pair = Trained(registry.make("mlp_small_gelu"))
        pair.schedule = schedule
        worst = compare.worst(training(pair, "float64").comparisons)
        assert worst is not None
        self.assertEqual(worst.verdict, Verdict.EQUAL, worst)

    @parameterized.expand(NAMED)
    def test_fit_and_file(self, name: str, schedule: Technique) -> None:
        spec = diglot.spec("mlp_small", dropout_rate=0.0)
        batch = spec.example(generator(3, "schedule"))
        batches = [{name: x.astype("float32") if x.dtype.kind == "f" else x for name, x in batch.items()}] * 3
        net, model = diglot.build(spec, "torch"), diglot.build(spec, "keras")
        diglot.set_state(model, diglot.get_state(net))
        losses = [
            torch_fitting.fit(net, batches, recipe(schedule)),
            keras_fitting.fit(model, batches, recipe(schedule)),
        ]
        np.testing.assert_allclose(*losses, rtol=1e-5)
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            read = keras.models.load_model(f"{folder}/model.keras")
        self.assertIs(type(read.optimizer._learning_rate), type(model.optimizer._learning_rate))
        self.assertEqual(float(read.optimizer.learning_rate), float(model.optimizer.learning_rate))
        self.assertEqual(float(read.optimizer._learning_rate(2)), float(model.optimizer._learning_rate(2)))


class InverseSquareRoots(unittest.TestCase):
    def test_the_base_model_of_the_paper(self) -> None:
        spec = registry.make("inverse_square_root")
        self.assertAlmostEqual(spec.rate(0), 512**-0.5 * 4000**-1.5, delta=1e-20)
        self.assertAlmostEqual(spec.peak(), 6.987712429686844e-4, delta=1e-15)
        self.assertAlmostEqual(spec.rate(4 * 4000 - 1), spec.peak() / 2, delta=1e-15)

    def test_by_its_peak(self) -> None:
        spec = InverseSquareRoot.with_peak(0.003, 50)
        rates = [spec.rate(step) for step in range(300)]
        self.assertAlmostEqual(max(rates), 0.003, delta=1e-15)
        self.assertEqual(int(np.argmax(rates)), 49)
        self.assertAlmostEqual(rates[0], 0.003 / 50, delta=1e-15)


class OneCycles(unittest.TestCase):
    def test_first_top_and_last(self) -> None:
        spec = registry.make("one_cycle", learning_rate=0.5, total_steps=100, div_factor=20.0, final_div_factor=100.0)
        for phases in (False, True):
            rates = [spec.replace(three_phase=phases).rate(step) for step in range(110)]
            self.assertAlmostEqual(rates[0], 0.025, delta=1e-15)
            self.assertAlmostEqual(rates[29], 0.5, delta=1e-15)
            self.assertAlmostEqual(rates[99], 0.00025, delta=1e-15)
            self.assertEqual(rates[99:], rates[99:100] * 11)
        self.assertAlmostEqual(rates[58], 0.025, delta=1e-15)

    def test_pytorch_own_within_the_cycle(self) -> None:
        """The sibling's and PyTorch's rates, bit for bit, as long as PyTorch gives any."""
        spec, rates = registry.make("one_cycle", total_steps=20), []
        for kind in (one_cycle.OneCycle, torch.optim.lr_scheduler.OneCycleLR):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.8)
            schedule = kind(optimizer, max_lr=spec.learning_rate, total_steps=20, cycle_momentum=False)
            found = []
            for _ in range(20):
                found.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                schedule.step()
            rates.append(found)
            self.assertEqual(optimizer.param_groups[0]["momentum"], 0.8)
        self.assertEqual(*rates)

    @parameterized.expand([
        ({"pct_start": 0.0}, "pct_start 0 of total_steps 100 must be more than one step, in which the rate rises"),
        ({"total_steps": 2, "pct_start": 0.5}, "pct_start 0.5 of total_steps 2 must be more than one step, in which"),
        ({"three_phase": True, "pct_start": 0.6}, "pct_start 0.6 of total_steps 100, up and down, leaves no step for"),
    ])  # fmt: skip
    def test_refused(self, fields: dict[str, float], sentence: str) -> None:
        with self.assertRaises(SpecError) as caught:
            registry.make("one_cycle", **fields)
        self.assertIn(f"one_cycle: {sentence}", str(caught.exception))
