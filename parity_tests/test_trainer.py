"""The trainers: many techniques at once on digits, the same training in both frameworks, and the same after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import compare, floor
from diglot.core.compare import Comparison
from diglot.core.data import Data
from diglot.core.errors import CheckpointError, DiglotError, InputError, SpecError, TrainingError
from diglot.core.recipe import Recipe
from diglot.core.technique import Arrays
from diglot.core.techniques.gradient_accumulation import GradientAccumulation
from diglot.core.verdict import Verdict
from diglot.keras_impl import trainer as keras_trainer
from diglot.keras_impl.precision import precision
from diglot.keras_impl.techniques import mixed_precision as keras_precision
from diglot.keras_impl.techniques.gradient_accumulation import Accumulation as KerasAccumulation
from diglot.keras_impl.techniques.progressive_unfreezing import ProgressiveUnfreezing
from diglot.torch_impl import trainer as torch_trainer
from diglot.torch_impl.scheduling import Schedule
from diglot.torch_impl.techniques import gradient_accumulation, mixed_precision
from parameterized import parameterized
from torch import nn

import diglot

from . import composed
from .composed import technique

ROOT = Path(__file__).parents[1]
SIDES = ("torch", "keras")
TRAINERS = {"torch": torch_trainer, "keras": keras_trainer}
FILES = {"torch": "torch.pt", "keras": "keras.safetensors"}


def worst(base: dict[str, Arrays], moved: Arrays) -> Comparison:
    """The worst comparison of both sides. The floor is PyTorch's movement, which is much quicker to run again."""
    found = compare.worst(compare.every(base["torch"], base["keras"], floor.movement(base["torch"], moved)))
    assert found is not None
    return found


class Everything(unittest.TestCase):
    """One training in both frameworks: every number of its history, its weights and its predictions."""

    @parameterized.expand(composed.RECIPES.items())
    def test_equal(self, name: str, recipe: Callable[[], Recipe]) -> None:
        base = {side: composed.results(side, recipe()) for side in SIDES}
        found = worst(base, composed.results("torch", recipe(), move=0))
        self.assertEqual(found.verdict, Verdict.EQUAL, found)

    @parameterized.expand([("float16", 2.0**27), ("bfloat16", 1.0)])
    def test_half_precision(self, dtype: str, scale: float) -> None:
        """The same steps are skipped, and losses differ no more than a unit of that precision moves them.

        The scale starts where it must overflow, and falls to where nothing does: in between, rounding decides.
        """
        scaled = dtype == "float16"
        half = technique("mixed_precision", dtype=dtype, initial_scale=scale, scaled=scaled, backoff_factor=2.0**-6)
        recipe = composed.everything(precision=half, stopping=None)
        base = {side: composed.results(side, recipe, dtype="float32") for side in SIDES}
        moved = composed.results("torch", recipe, dtype="float32", move=0, unit=dtype)
        names = ["step/loss", "step/gradient_norm", "step/skipped", "step/loss_scale", "epoch/loss", "epoch/val_loss"]
        chosen = {side: {name: base[side][name] for name in names} for side in SIDES}
        found = worst(chosen, moved)
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
    "the average left out of evaluation": ("torch", torch_trainer.Training, "averaged", lambda self: nullcontext()),
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
        cls.moved = composed.results("torch", composed.everything(), epochs=3, move=0)

    def test_without_one(self) -> None:
        found = worst(self.base, self.moved)
        self.assertEqual(found.verdict, Verdict.EQUAL, found)

    @parameterized.expand([(name, *bug) for name, bug in PLANTED.items()])
    def test(self, name: str, side: str, place: Any, attribute: str, wrong: Any) -> None:
        with mock.patch.object(place, attribute, wrong, create=True):
            results = composed.results(side, composed.everything(), epochs=3)
        found = worst({**self.base, side: results}, self.moved)
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
        found = worst({**self.base, side: results}, self.moved)
        self.assertEqual(found.verdict, Verdict.DIFFERENT, found)


class Killed(unittest.TestCase):
    """A training that is killed in the middle and run again comes to the same bits as one that is not."""

    @parameterized.expand([(side,) for side in SIDES])
    def test_same_bits(self, side: str) -> None:
        recipe, epochs = composed.everything(), 24
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "parity_tests.composed", side, folder, str(epochs)]
            process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, "TERM": "dumb"})
            while not (Path(folder) / FILES[side]).exists():
                self.assertIsNone(process.poll(), "it ended before it wrote a checkpoint")
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            self.assertEqual(process.wait(), -signal.SIGKILL)
            history, network = composed.train(side, recipe, folder=folder, epochs=epochs)
        whole, other = composed.train(side, recipe, epochs=epochs)
        self.assertEqual(history.as_json(), whole.as_json())
        found = compare.bitwise(diglot.get_state(other), diglot.get_state(network))
        self.assertEqual({item.verdict for item in found}, {Verdict.EQUAL})


class Resumed(unittest.TestCase):
    @parameterized.expand([(side,) for side in SIDES])
    def test_a_finished_training_is_not_done_again_and_can_be_longer(self, side: str) -> None:
        recipe = composed.adaptive()
        with tempfile.TemporaryDirectory() as folder:
            _, short = composed.train(side, recipe, folder=folder, epochs=2)
            with mock.patch.object(TRAINERS[side].Feed, "batch", side_effect=AssertionError("trained again")):
                _, again = composed.train(side, recipe, folder=folder, epochs=2)
            longer, network = composed.train(side, recipe, folder=folder, epochs=3)
        self.assertEqual(_bits(short), _bits(again))
        whole, other = composed.train(side, recipe, epochs=3)
        self.assertEqual((longer.as_json(), _bits(network)), (whole.as_json(), _bits(other)))

    @parameterized.expand([(side,) for side in SIDES])
    def test_refused(self, side: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            composed.train(side, composed.adaptive(), folder=folder, epochs=2)
            with self.assertRaisesRegex(
                CheckpointError,
                "is of another training: its recipe.optimizer.technique is 'adamw' and not 'sgd'; choose",
            ):
                composed.train(side, composed.everything(), folder=folder)
            with self.assertRaisesRegex(CheckpointError, "is of 2 epochs, more than 1; choose another folder"):
                composed.train(side, composed.adaptive(), folder=folder, epochs=1)
            (Path(folder) / FILES[side]).write_bytes(b"not a checkpoint")
            with self.assertRaisesRegex(CheckpointError, "is not a readable checkpoint .*; delete it to begin anew"):
                composed.train(side, composed.adaptive(), folder=folder)


def _bits(network: Any) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in diglot.get_state(network).items()}


CLASSES, FEATURES = 3, 4


def own_network(side: str, width: int = 8) -> Any:
    """A network that Diglot has never seen, with the same weights on both sides."""
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((FEATURES, width)) / 2, rng.standard_normal((width, CLASSES)) / 2
    if side == "torch":
        network = nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Linear(width, CLASSES)).double()
        with torch.no_grad():
            for layer, kernel in zip((network[0], network[2]), kernels, strict=True):
                layer.weight.copy_(torch.tensor(kernel.T))  # (in, out) -> (out, in)
                layer.bias.zero_()
        return network
    with precision("float64"):
        dense = [keras.layers.Dense(units) for units in (width, CLASSES)]
        model = keras.Sequential([keras.Input((FEATURES,)), dense[0], keras.layers.ReLU(), dense[1]])
    model.set_weights([kernels[0], np.zeros(width), kernels[1], np.zeros(CLASSES)])
    return model


def own_data(samples: int = 50, held_out: bool = True) -> Data:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((samples, FEATURES))
    y = (x @ rng.standard_normal((FEATURES, CLASSES))).argmax(-1)
    return Data(x[10:], y[10:], (x[:10], y[:10]) if held_out else None)


def plain(**others: Any) -> Recipe:
    optimizer = technique("adam", learning_rate=0.0625)
    return Recipe(**{"optimizer": optimizer, "loss": technique("cross_entropy"), **others})


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
        found = worst(base, self.trained("torch", recipe, 0))
        self.assertEqual(found.verdict, Verdict.EQUAL, found)
        self.assertGreater(base["torch"]["epoch/val_accuracy"][-1], base["torch"]["epoch/val_accuracy"][0])

    @parameterized.expand([(side,) for side in SIDES])
    def test_steps_on_micro_batches_are_those_on_whole_ones(self, side: str) -> None:
        accumulation = technique("gradient_accumulation", micro_batches=2)
        whole, parts = own_network(side), own_network(side)
        diglot.fit(whole, own_data(), plain(), epochs=2, batch_size=16)
        diglot.fit(parts, own_data(), plain(accumulation=accumulation), epochs=2, batch_size=8)
        for one, other in zip(weights_of(side, whole), weights_of(side, parts), strict=True):
            (found,) = compare.every({"weight": one}, {"weight": other}, {"weight": 16 * floor.unit(one, "float64")})
            self.assertEqual(found.verdict, Verdict.EQUAL, found)


def weights_of(side: str, network: Any) -> list[np.ndarray]:
    return [w.detach().numpy() for w in network.parameters()] if side == "torch" else network.get_weights()


class NotFinite(unittest.TestCase):
    """A loss that is not finite ends the training, tells where it came from, and leaves the checkpoint."""

    @parameterized.expand([(side,) for side in SIDES])
    def test_the_layer_is_named(self, side: str) -> None:
        data = own_data(held_out=False)
        wrong = data.arrays()[0].copy()
        wrong[:, 0] *= 1e200
        with tempfile.TemporaryDirectory() as folder:
            diglot.fit(own_network(side), data, plain(), epochs=1, batch_size=16, folder=folder)
            before = (Path(folder) / FILES[side]).read_bytes()
            network = own_network(side)
            if side == "torch":
                network[2].weight.data *= 1e200
            else:
                network.layers[-1].kernel.assign(network.layers[-1].kernel * 1e200)
            start = weights_of(side, network)
            with self.assertRaises(TrainingError) as caught:
                diglot.fit(network, Data(wrong, data.targets), plain(), epochs=1, batch_size=16)
            self.assertEqual((Path(folder) / FILES[side]).read_bytes(), before)
        name = {"torch": "2", "keras": network.layers[-1].path if side == "keras" else ""}[side]
        told = (
            f"at step 0 (batch 0 in all, of epoch 1): the first layer that gives one is {name}; lower the learning rate"
        )
        self.assertIn(told, str(caught.exception))
        for one, other in zip(start, weights_of(side, network), strict=True):
            np.testing.assert_array_equal(one, other)

    @parameterized.expand([("torch", "0.weight"), ("keras", "kernel")])
    def test_the_weight_is_named_whose_gradient_it_is(self, side: str, name: str) -> None:
        """A huge input to units that are nearly off: the loss is finite, and the gradient of the first kernel is not."""
        network, data = own_network(side), own_data(held_out=False)
        data.arrays()[0][:] = 1e200
        kernels = np.full((FEATURES, 8), 1e-220), np.full((8, CLASSES), 1e150) * np.array([1.0, -1.0, 0.5])
        if side == "torch":
            with torch.no_grad():
                network[0].weight.copy_(torch.tensor(kernels[0].T))
                network[2].weight.copy_(torch.tensor(kernels[1].T))
        else:
            network.set_weights([kernels[0], np.zeros(8), kernels[1], np.zeros(CLASSES)])
        with self.assertRaises(TrainingError) as caught:
            diglot.fit(network, data, plain(), epochs=1, batch_size=16)
        self.assertRegex(
            str(caught.exception), f"^the gradient of [^ ]*{name} is not finite at step 0 .*: every layer's"
        )

    @parameterized.expand([(side,) for side in SIDES])
    def test_a_batch_with_holes(self, side: str) -> None:
        data = own_data(held_out=False)
        data.arrays()[0][7] = np.nan
        with self.assertRaisesRegex(TrainingError, "the batch itself holds numbers that are not finite"):
            diglot.fit(own_network(side), data, plain(), epochs=1, batch_size=64)


class Refused(unittest.TestCase):
    """What cannot be is one sentence, before anything is changed."""

    @parameterized.expand([
        ("epochs", {"epochs": 0}, {}, SpecError, "epochs must be a whole number, at least 1, not 0"),
        ("batch", {"batch_size": -1}, {}, SpecError, "batch_size must be a whole number, at least 1, not -1"),
        ("seed", {"seed": -1}, {}, SpecError, "a seed is a whole number, at least 0, not -1"),
        ("warm_up", {}, {"schedule": technique("warmup_cosine", warmup_steps=50)}, SpecError,
         "warmup_cosine warms up for 50 steps, and the training has 3; shorten warmup_steps or train for more epochs"),
        ("metric", {}, {"stopping": technique("early_stopping", monitor="val_loss")}, SpecError,
         "early_stopping watches the metric 'val_loss', and there are loss, accuracy; give held-out data"),
        ("curriculum", {}, {"curriculum": technique("curriculum")}, SpecError,
         "curriculum needs the difficulties of the samples; give them with the data"),
        ("pattern", {}, {"groups": technique("parameter_groups", no_decay=("*norm*",))}, InputError,
         "parameter_groups: '*norm*' of no_decay matches no weight"),
    ])  # fmt: skip
    def test(
        self, name: str, options: dict[str, Any], others: dict[str, Any], error: type[Exception], told: str
    ) -> None:
        for side in SIDES:
            network = own_network(side)
            start = [array.copy() for array in weights_of(side, network)]
            with self.assertRaises(error) as caught:
                asked = {"epochs": 1, "batch_size": 16, **options}
                diglot.fit(network, own_data(held_out=False), plain(**others), **asked)
            self.assertIn(told, str(caught.exception))
            for one, other in zip(start, weights_of(side, network), strict=True):
                np.testing.assert_array_equal(one, other)

    @parameterized.expand([
        ("both", lambda: plain(schedule=technique("warmup_cosine"), plateau=technique("reduce_on_plateau")),
         "warmup_cosine and reduce_on_plateau both set the rate; leave one of them out"),
        ("indices", lambda: plain(mixing=technique("mixup")),
         "mixup gives probabilities, and cross_entropy takes class indices; set its targets='probabilities'"),
        ("word", lambda: plain(clip="value"), "clip of a recipe must be a technique, such as diglot.spec('adam')"),
        ("lengths", lambda: Data(np.zeros((3, 2)), np.zeros(4)), "the data must have one number of samples, not 3, 4"),
        ("empty", lambda: Data(np.zeros((0, 2)), np.zeros(0)), "the data must have at least one sample"),
        ("list", lambda: Data([[1.0]], np.zeros(1)), "the data must be NumPy arrays, (samples, ...), not list"),
        ("network", lambda: diglot.fit(object(), own_data(), plain(), epochs=1, batch_size=1), "neither"),
        ("learning", lambda: diglot.fit(diglot.build(diglot.spec("vae"), "torch"), own_data(), plain(), epochs=1,
                                        batch_size=1), "learns in a way of its own"),
    ])  # fmt: skip
    def test_request(self, name: str, make: Callable[[], Any], told: str) -> None:
        with self.assertRaises(DiglotError) as caught:
            make()
        self.assertIn(told, str(caught.exception))

    def test_half_precision_that_a_device_lacks(self) -> None:
        class Lacking(nn.Module):
            def parameters(self, recurse: bool = True) -> Any:
                return iter([torch.zeros(1, device="meta")])

        half = technique("mixed_precision")
        with (
            mock.patch.object(torch, "ones", side_effect=RuntimeError("not implemented for 'Half'")),
            self.assertRaisesRegex(SpecError, "mixed_precision: meta has no float16; set another dtype, or none"),
            mixed_precision.lowered(half, Lacking()),
        ):
            pass

    def test_half_precision_that_tensorflow_lacks(self) -> None:
        lacking = tf.errors.UnimplementedError(None, None, "no kernel")
        with (
            mock.patch.object(tf.linalg, "matmul", side_effect=lacking),
            self.assertRaisesRegex(SpecError, "mixed_precision: TensorFlow has no float16 here; set another dtype"),
            keras_precision.lowered(technique("mixed_precision"), own_network("keras")),
        ):
            pass
