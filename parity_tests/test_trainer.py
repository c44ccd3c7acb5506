"""The trainers: many techniques at once on digits, the same training in both frameworks; and any other network."""

from __future__ import annotations

import contextlib
import tempfile
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np
from diglot.core import compare, floor
from diglot.core.compare import Comparison
from diglot.core.data import Data
from diglot.core.recipe import Recipe
from diglot.core.technique import Arrays
from diglot.core.techniques.gradient_accumulation import GradientAccumulation
from diglot.core.verdict import Verdict
from diglot.keras_impl import trainer as keras_trainer
from diglot.keras_impl.techniques.gradient_accumulation import Accumulation as KerasAccumulation
from diglot.keras_impl.techniques.progressive_unfreezing import ProgressiveUnfreezing
from diglot.torch_impl import trainer as torch_trainer
from diglot.torch_impl.scheduling import Schedule
from diglot.torch_impl.techniques import gradient_accumulation, mixed_precision
from parameterized import parameterized

import diglot

from . import composed
from .composed import technique
from .own_networks import (
    CLASSES,
    FEATURES,
    SIDES,
    own_data,
    own_network,
    parameters,
    plain,
    weights_of,
)


def worst(base: dict[str, Arrays], floors: dict[str, float]) -> Comparison:
    """The worst comparison of both sides. The floor is PyTorch's movement, which is much quicker to run again."""
    found = compare.worst(compare.every(base["torch"], base["keras"], floors))
    assert found is not None
    return found


class Everything(unittest.TestCase):
    """One training in both frameworks: every number of its history, its weights and its predictions."""

    @parameterized.expand(composed.RECIPES.items())
    def test_equal(self, name: str, recipe: Callable[[], Recipe]) -> None:
        base = {side: composed.results(side, recipe()) for side in SIDES}
        found = worst(base, floor.movement(base["torch"], composed.results("torch", recipe(), move=0)))
        self.assertEqual(found.verdict, Verdict.EQUAL, found)

    @parameterized.expand([("float16", 2.0**33), ("bfloat16", 1.0)])
    def test_half_precision(self, dtype: str, scale: float) -> None:
        """The same steps are skipped, and losses differ no more than a unit of that precision moves them.

        The scale starts where it must overflow, and falls to where nothing does: in between, rounding decides. It falls
        far, as a unit that hardly varies within a batch has a gradient which rounding alone makes three times larger.
        """
        scaled = dtype == "float16"
        half = technique("mixed_precision", dtype=dtype, initial_scale=scale, scaled=scaled, backoff_factor=2.0**-11)
        recipe = composed.everything(precision=half, stopping=None)
        base = {side: composed.results(side, recipe, dtype="float32") for side in SIDES}
        moved = composed.results("torch", recipe, dtype="float32", move=0, unit=dtype)
        names = ["step/loss", "step/gradient_norm", "step/skipped", "step/loss_scale", "epoch/loss", "epoch/val_loss"]
        chosen = {side: {name: base[side][name] for name in names} for side in SIDES}
        found = worst(chosen, floor.movement(chosen["torch"], moved))
        self.assertEqual(found.verdict, Verdict.EQUAL, found)
        self.assertEqual(bool(base["torch"]["step/skipped"].sum()), scaled)


def unscaled_late(scaler: Any, optimizer: Any) -> None:
    """The first call of a step, before clipping, does nothing; the one within the step does."""
    scaler.late = not getattr(scaler, "late", False)
    if not scaler.late:
        UNSCALE(scaler, optimizer)


def averaged_twice(accumulation: Any) -> None:
    samples, first = accumulation.samples, accumulation.first
    AVERAGE(accumulation)
    accumulation.samples, accumulation.first = samples, first
    AVERAGE(accumulation)


def restored_behind(keeping: Any) -> int:
    """A resume after which the schedules of all groups are one step behind."""
    epoch: int = RESUME(keeping)
    for optimizer in keeping.training.observed.inner.optimizers:
        optimizer._iterations.assign_sub(1)
    return epoch


def loaded_behind(schedule: Any, state: dict[str, Any]) -> None:
    LOAD(schedule, {**state, "last_epoch": state["last_epoch"] - 1})


RESUME, LOAD = keras_trainer.Keeping.resume, Schedule.load_state_dict
UNSCALE, AVERAGE = mixed_precision.Scaler.unscale_, gradient_accumulation.Accumulation.average
PLANTED: dict[str, tuple[str, Any, str, Any]] = {
    "unscaled after clipping": ("torch", mixed_precision.Scaler, "unscale_", unscaled_late),
    "averaged twice": ("torch", gradient_accumulation.Accumulation, "average", averaged_twice),
    "no step of an incomplete group": ("torch", GradientAccumulation, "due", lambda self, index, count: index % 2 == 1),
    "the average left out of evaluation": (
        "torch",
        torch_trainer.Training,
        "averaged",
        lambda self: contextlib.nullcontext(),
    ),
    "the first epoch's batches again": (
        "keras",
        keras_trainer.Batches,
        "epoch",
        property(lambda _: 0, lambda *_: None),
    ),
    "gradients of an incomplete group kept": ("keras", KerasAccumulation, "drop", lambda self: self.counted.assign(0)),
    "the average never put in": ("keras", keras_trainer.Training, "put", lambda self, values: None),
    "frozen weights train": ("keras", ProgressiveUnfreezing, "set_epoch", lambda self, epoch: None),
}


class Planted(unittest.TestCase):
    """A mistake in the order of a step, or in what is done with an epoch, is seen in the history."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.base = {side: composed.results(side, composed.everything(), epochs=3) for side in SIDES}
        moved = composed.results("torch", composed.everything(), epochs=3, move=0)
        cls.floors = floor.movement(cls.base["torch"], moved)

    def test_without_one(self) -> None:
        found = worst(self.base, self.floors)
        self.assertEqual(found.verdict, Verdict.EQUAL, found)

    @parameterized.expand([(name, *bug) for name, bug in PLANTED.items()])
    def test(self, name: str, side: str, place: Any, attribute: str, wrong: Any) -> None:
        with mock.patch.object(place, attribute, wrong, create=True):
            results = composed.results(side, composed.everything(), epochs=3)
        found = worst({**self.base, side: results}, self.floors)
        self.assertEqual(found.verdict, Verdict.DIFFERENT, found)

    @parameterized.expand([(side,) for side in SIDES])
    def test_a_schedule_one_step_behind_after_a_resume(self, side: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            composed.train(side, composed.everything(), folder=folder, epochs=2)
            behind = {
                "torch": (Schedule, "load_state_dict", loaded_behind),
                "keras": (keras_trainer.Keeping, "resume", restored_behind),
            }[side]
            with mock.patch.object(*behind):
                results = composed.results(side, composed.everything(), folder=folder, epochs=3)
        found = worst({**self.base, side: results}, self.floors)
        self.assertEqual(found.verdict, Verdict.DIFFERENT, found)


class OwnNetworks(unittest.TestCase):
    """Networks that Diglot has never seen train as its own do."""

    def trained(self, side: str, recipe: Recipe, move: int | None = None) -> Arrays:
        data = own_data()
        inputs = floor.moved({"x": data.arrays()[0]}, move)["x"] if move is not None else data.inputs
        moved = Data(inputs, data.targets, data.held_out)
        history = diglot.fit(own_network(side), moved, recipe, epochs=3, batch_size=16)
        return {name: array for name, (_, array) in history.tags()}

    def test_equal(self) -> None:
        recipe = plain(clip=technique("clip_by_norm"), accumulation=technique("gradient_accumulation", micro_batches=2))
        base = {side: self.trained(side, recipe) for side in SIDES}
        found = worst(base, floor.movement(base["torch"], self.trained("torch", recipe, 0)))
        self.assertEqual(found.verdict, Verdict.EQUAL, found)
        self.assertGreater(base["torch"]["epoch/val_accuracy"][-1], base["torch"]["epoch/val_accuracy"][0])

    def test_samples_that_are_no_pictures_are_mixed(self) -> None:
        loss = technique("cross_entropy", targets="probabilities")
        recipe = plain(loss=loss, mixing=technique("mixup", num_classes=CLASSES))
        base = {side: self.trained(side, recipe) for side in SIDES}
        found = worst(base, floor.movement(base["torch"], self.trained("torch", recipe, 0)))
        self.assertEqual(found.verdict, Verdict.EQUAL, found)

    @parameterized.expand([(side,) for side in SIDES])
    def test_steps_on_micro_batches_are_those_on_whole_ones(self, side: str) -> None:
        accumulation = technique("gradient_accumulation", micro_batches=2)
        whole, parts = own_network(side), own_network(side)
        diglot.fit(whole, own_data(), plain(), epochs=2, batch_size=16)
        diglot.fit(parts, own_data(), plain(accumulation=accumulation), epochs=2, batch_size=8)
        for one, other in zip(weights_of(side, whole), weights_of(side, parts), strict=True):
            (found,) = compare.every({"weight": one}, {"weight": other}, {"weight": 16 * floor.unit(one, "float64")})
            self.assertEqual(found.verdict, Verdict.EQUAL, found)


class Left(unittest.TestCase):
    """What a training leaves behind."""

    def test_a_keras_model_can_be_saved_and_read(self) -> None:
        model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(8), keras.layers.Dense(CLASSES)])
        diglot.fit(model, own_data(), plain(groups=technique("parameter_groups")), epochs=1, batch_size=16)
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            read = keras.models.load_model(f"{folder}/model.keras")
        x, y = own_data().held_out or (None, None)
        self.assertEqual(read.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0))

    @parameterized.expand([("torch", ("2.*", "*")), ("keras", ("last/*", "*"))])
    def test_what_was_frozen_for_a_time_trains_again(self, side: str, patterns: tuple[str, ...]) -> None:
        unfreezing = technique("progressive_unfreezing", patterns=patterns, epochs=(3,))
        network = own_network(side)
        with tempfile.TemporaryDirectory() as folder:
            for epochs in (2, 4):
                options = {"epochs": epochs, "batch_size": 16, "folder": folder}
                diglot.fit(network, own_data(), plain(unfreezing=unfreezing), **options)
        flags = [w.requires_grad if side == "torch" else w.trainable for w in parameters(side, network)]
        self.assertEqual(flags, [True] * 4)

    def test_names_of_a_keras_model_do_not_depend_on_others(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for epochs in (1, 2):
                model = own_network("keras")
                diglot.fit(model, own_data(), plain(), epochs=epochs, batch_size=16, folder=folder)
        self.assertEqual(keras_trainer.names(["a/b/k", "a/b/k", "a/c/k"]), ["b/k#1", "b/k#2", "c/k"])
        self.assertEqual(keras_trainer.names(["a/k", "b/k"]), ["a/k", "b/k"])

    @parameterized.expand([(side, kind) for side in SIDES for kind in ("uint8", "int32", "float32")])
    def test_numbers_of_every_kind(self, side: str, kind: str) -> None:
        rng = np.random.default_rng(0)
        inputs = rng.integers(0, 255, (20, FEATURES)).astype(kind if kind != "int32" else "uint8")
        targets = rng.integers(0, CLASSES, 20).astype("int32" if kind == "int32" else "int64")
        history = diglot.fit(own_network(side), Data(inputs, targets), plain(), epochs=1, batch_size=8)
        self.assertEqual(len(history.steps["loss"]), 3)
