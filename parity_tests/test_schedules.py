"""Schedules of the rate: the papers' figures, the frameworks' own where there is one, and a whole recipe and file."""

from __future__ import annotations

import json
import tempfile
import unittest
from collections.abc import Callable
from typing import Any

import diglot.keras_impl.fitting as keras_fitting
import diglot.torch_impl.fitting as torch_fitting
import keras
import numpy as np
import torch
from diglot.core import compare, registry
from diglot.core.checks import training
from diglot.core.errors import SpecError
from diglot.core.noise import generator
from diglot.core.pair import Pair
from diglot.core.recipe import Recipe
from diglot.core.schedule import Schedule
from diglot.core.technique import Technique
from diglot.core.techniques.inverse_square_root import InverseSquareRoot
from diglot.core.techniques.piecewise import Piecewise
from diglot.core.verdict import Verdict
from diglot.keras_impl.techniques import cosine_restarts as keras_restarts
from diglot.keras_impl.techniques import warmup_cosine as keras_cosine
from diglot.torch_impl.backend import sibling
from diglot.torch_impl.techniques import one_cycle
from parameterized import parameterized

import diglot

from .agreement import agreement

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


class WarmUps(unittest.TestCase):
    @parameterized.expand([
        ("warmup_cosine", {"warmup_steps": 7}, 7, 7),
        ("inverse_square_root", {"warmup_steps": 7}, 7, 6),
        ("one_cycle", {"total_steps": 40}, 12, 11),
        ("one_cycle", {"total_steps": 60, "pct_start": 0.45, "three_phase": True}, 27, 26),
        ("cosine", {}, 0, 0),
        ("step_decay", {}, 0, 0),
        ("polynomial", {}, 0, 0),
    ])  # fmt: skip
    def test_steps(self, name: str, fields: dict[str, Any], steps: int, peak: int) -> None:
        """How long the rate rises, and the step of the largest rate, counted from 0."""
        spec = registry.make(name, **fields)
        self.assertEqual(spec.warmup(), steps)
        self.assertEqual(int(np.argmax([spec.rate(step) for step in range(100)])), peak)


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


def stepped(schedule: Callable[[torch.optim.Optimizer], Any], steps: int) -> list[float]:
    """The rates that a PyTorch scheduler gives an optimizer that starts at 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = schedule(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


class Oracles(unittest.TestCase):
    """Each rule is that of the framework's own class, where that has one."""

    @parameterized.expand([
        ("step_decay", {"every": 7, "gamma": 0.5}, "StepLR", {"step_size": 7, "gamma": 0.5}),
        ("step_decay", {"every": None, "milestones": (3, 9, 10)}, "MultiStepLR", {"milestones": [3, 9, 10]}),
        ("exponential_decay", {"gamma": 0.9}, "ExponentialLR", {"gamma": 0.9}),
        ("polynomial", {"total_steps": 20, "power": 2.0}, "PolynomialLR", {"total_iters": 20, "power": 2.0}),
        ("cosine_restarts", {"first_period": 3, "period_factor": 2}, "CosineAnnealingWarmRestarts",
         {"T_0": 3, "T_mult": 2}),
        ("cosine_restarts", {"first_period": 4, "final_fraction": 0.125}, "CosineAnnealingWarmRestarts",
         {"T_0": 4, "eta_min": 0.125}),
    ])  # fmt: skip
    def test_pytorch(self, name: str, fields: dict[str, Any], native: str, options: dict[str, Any]) -> None:
        spec, kind = registry.make(name, learning_rate=1.0, **fields), getattr(torch.optim.lr_scheduler, native)
        rates = stepped(lambda optimizer: kind(optimizer, **options), 30)
        self.assertEqual(agreement([spec.rate(step) for step in range(30)], rates).verdict, Verdict.EQUAL)

    @parameterized.expand([
        ("exponential_decay", {"gamma": 0.5, "decay_steps": 4, "staircase": True}, "ExponentialDecay", (4, 0.5, True)),
        ("polynomial", {"total_steps": 20, "final_fraction": 0.25}, "PolynomialDecay", (20, 0.25)),
        ("cosine_restarts", {"first_period": 4, "period_factor": 2}, "CosineDecayRestarts", (4,)),
        ("cosine", {"total_steps": 16, "final_fraction": 0.25}, "CosineDecay", (16, 0.25)),
    ])  # fmt: skip
    def test_keras(self, name: str, fields: dict[str, Any], native: str, options: tuple[Any, ...]) -> None:
        spec = registry.make(name, learning_rate=1.0, **fields)
        schedule = getattr(keras.optimizers.schedules, native)(np.float64(1.0), *options)
        rates = [float(schedule(step)) for step in range(30)]
        self.assertEqual(agreement([spec.rate(step) for step in range(30)], rates).verdict, Verdict.EQUAL)

    def test_a_boundary_of_keras(self) -> None:
        """The trap: there it is the last step of the rate before."""
        spec = registry.make("piecewise_fine_tuning")
        naive = keras.optimizers.schedules.PiecewiseConstantDecay([5, 10], [1e-3, 1e-4, 1e-5])
        self.assertEqual([spec.rate(step) for step in range(15)], [1e-3] * 5 + [1e-4] * 5 + [1e-5] * 5)
        for step in range(15):
            same = np.float32(spec.rate(step)) == float(naive(step))
            self.assertEqual(same, step not in (5, 10))

    def test_a_restart_that_keras_misses(self) -> None:
        """The trap: log 243 / log 3 is rounded to less than 5, so step 121 is still the end of the fifth period."""
        naive = keras.optimizers.schedules.CosineDecayRestarts(np.float64(1.0), 1, t_mul=np.float64(3.0))
        ours = keras_restarts.CosineRestarts({"learning_rate": 1.0, "first_period": 1, "period_factor": 3})
        starts = ours.spec.starts(400)
        self.assertEqual(starts, [0, 1, 4, 13, 40, 121, 364])
        self.assertEqual([float(ours(step)) for step in starts], [1.0] * 7)
        self.assertEqual([round(float(naive(step))) for step in starts], [1, 1, 1, 1, 1, 0, 1])

    def test_a_file_keeps_float64(self) -> None:
        """The trap: Keras writes NumPy's float64 as a number, and computes in float32 when it is read."""
        spec, schedules = registry.make("cosine", learning_rate=0.1), keras.optimizers.schedules
        native = schedules.CosineDecay(np.float64(spec.learning_rate), spec.total_steps)
        ours = keras_cosine.WarmupCosine(spec.fields(), 0.5)
        files = [json.dumps(schedules.serialize(schedule)) for schedule in (native, ours)]
        read = [schedules.deserialize(json.loads(file)) for file in files]
        self.assertEqual([schedule(7).dtype.name for schedule in (native, *read)], ["float64", "float32", "float64"])
        self.assertEqual(float(read[1](7)), 0.5 * float(native(7)))


class Groups(unittest.TestCase):
    @parameterized.expand([
        (name,) for name, kind in registry.classes().items() if issubclass(kind, Schedule)
    ])  # fmt: skip
    def test_every_schedule_heeds_the_multiplier(self, name: str) -> None:
        """Groups of one rate, of a fraction of it, and none: whatever rates they were built with."""
        spec = registry.make(registry.checked(name)[0])
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(3)]
        groups[1] |= {"multiplier": 0.5, "lr": 7.0}
        groups[2]["multiplier"] = 0.0
        optimizer = torch.optim.SGD(groups, lr=3.0)
        scheduler = sibling(spec).build(spec, optimizer)
        for step in range(12):
            rates = [group["lr"] for group in optimizer.param_groups]
            wanted = [spec.rate(step) * factor for factor in (1.0, 0.5, 0.0)]
            self.assertEqual(agreement(rates, wanted).verdict, Verdict.EQUAL)
            optimizer.step()
            scheduler.step()


class Bounds(unittest.TestCase):
    def test_the_paper_of_residual_networks(self) -> None:
        spec = registry.make("step_decay_cifar")
        rates = [spec.rate(step) for step in (0, 31999, 32000, 47999, 48000, 64000)]
        self.assertEqual(agreement(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]).verdict, Verdict.EQUAL)

    def test_by_epoch(self) -> None:
        spec = Piecewise.by_epoch((0.1, 0.01), (3,), 50)
        self.assertEqual([spec.rate(step) for step in (0, 149, 150)], [0.1, 0.1, 0.01])

    @parameterized.expand([(1, 0), (2, 0), (1, 1), (2, 1)])
    def test_the_document_of_restarts(self, factor: int, before: int) -> None:
        """Its class gives the rule's rates if its step comes after each epoch, and skips one if it comes before."""
        spec = registry.make("cosine_restarts", learning_rate=1.0, period_factor=factor)
        current, period, rates = 0, 10, [1.0]
        for _ in range(39 + before):
            current += 1
            if current >= period:
                current, period = 0, period * factor
            rates.append((1 + np.cos(np.pi * current / period)) / 2)
        found = agreement([spec.rate(step) for step in range(40)], rates[before:])
        self.assertEqual(found.verdict, Verdict.DIFFERENT if before else Verdict.EQUAL)

    @parameterized.expand([
        ("cosine_restarts", {"learning_rate": -0.1}, "learning_rate must be a number above 0, not -0.1"),
        ("polynomial", {"learning_rate": 0.0}, "learning_rate must be a number above 0, not 0.0"),
        ("exponential_decay", {"gamma": 1.5}, "gamma must be a number above 0 and at most 1, not 1.5"),
        ("step_decay", {"every": None}, "the rate never changes: give `every` a number of steps, or name milestones"),
        ("step_decay", {"milestones": (5, 5)}, "each of the milestones (5, 5) must be later than the one before"),
        ("piecewise", {"rates": (0.1, -0.1)}, "rates must be a tuple of numbers above 0, not (0.1, -0.1)"),
        ("piecewise", {"rates": (0.1, 0.2)}, "2 boundaries need 3 rates, one more, and there are 2"),
        ("piecewise", {"boundaries": (9, 3)}, "each of the boundaries (9, 3) must be later than the one before"),
        ("warmup_cosine", {"warmup_steps": 9, "total_steps": 8},
         "warmup_steps (9) must not be above total_steps (8)"),
    ])  # fmt: skip
    def test_refused(self, name: str, fields: dict[str, Any], sentence: str) -> None:
        with self.assertRaises(SpecError) as caught:
            registry.make(name, **fields)
        self.assertEqual(str(caught.exception), f"{name}: {sentence}")
