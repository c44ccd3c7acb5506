"""A training that is killed or cut off goes on to the same bits, and what a checkpoint is not for is refused."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import torch
from diglot.core import compare
from diglot.core.errors import CheckpointError
from diglot.core.history import History
from diglot.core.recipe import Recipe
from diglot.core.verdict import Verdict
from diglot.keras_impl.techniques.early_stopping import EarlyStopping as KerasStopping
from diglot.keras_impl.techniques.reduce_on_plateau import ReduceOnPlateau as KerasPlateau
from diglot.torch_impl.techniques import mixed_precision
from diglot.torch_impl.techniques.early_stopping import EarlyStopping
from diglot.torch_impl.techniques.reduce_on_plateau import ReduceOnPlateau
from parameterized import parameterized
from torch import nn

import diglot

from . import composed
from .composed import technique
from .own_networks import (
    CLASSES,
    FEATURES,
    FILES,
    SIDES,
    TRAINERS,
    own_data,
    plain,
)

ROOT = Path(__file__).parents[1]


class Killed(unittest.TestCase):
    """A training that is killed in the middle and run again comes to the same bits as one that is not."""

    @parameterized.expand([(side,) for side in SIDES])
    def test_samebits(self, side: str) -> None:
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


class Interrupted(Exception):
    """What ends a training behind the checkpoint of an epoch."""


def waiting() -> Recipe:
    """A plateau that has counted bad epochs and stopping in mid-wait, whenever it is that a training is cut off."""
    plateau = technique("reduce_on_plateau", monitor="val_loss", threshold_mode="absolute", threshold=8.0, patience=2)
    stopping = technique("early_stopping", monitor="val_loss", min_delta=8.0, patience=7)
    average = technique("exponential_moving_average", decay=0.75, warmup=True)
    return plain(
        plateau=plateau, stopping=stopping, average=average, precision=technique("mixed_precision", growth_interval=5)
    )


def with_dropout(side: str) -> Any:
    """A network that draws by its framework's own generator, and that has running statistics."""
    if side == "torch":
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(0.25), nn.Linear(8, CLASSES))
    keras.utils.set_random_seed(0)
    layers = keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dropout(0.25)
    return keras.Sequential([keras.Input((FEATURES,)), *layers, keras.layers.Dense(CLASSES)])


def trained_in_parts(side: str, folder: str, after: int) -> tuple[History, list[np.ndarray]]:
    """A training that is cut off behind the checkpoint of an epoch, and gone on with by a network built anew."""
    keep, calls = TRAINERS[side].Keeping.keep, []

    def cut_off(keeping: Any, final: bool = False) -> None:
        keep(keeping, final)
        calls.append(final)
        if len(calls) == after:
            raise Interrupted

    with mock.patch.object(TRAINERS[side].Keeping, "keep", cut_off), contextlib.suppress(Interrupted):
        diglot.fit(with_dropout(side), own_data(), waiting(), epochs=10, batch_size=16, folder=folder)
    return trained(side, folder)


def trained(side: str, folder: str | None = None) -> tuple[History, list[np.ndarray]]:
    network = with_dropout(side)
    history = diglot.fit(network, own_data(), waiting(), epochs=10, batch_size=16, folder=folder)
    return history, numbers_of(side, network)


def numbers_of(side: str, network: Any) -> list[np.ndarray]:
    """All weights and statistics."""
    return [w.numpy() for w in network.state_dict().values()] if side == "torch" else network.get_weights()


LOST: dict[str, tuple[str, Any, str, Any]] = {
    "the plateau": ("torch", ReduceOnPlateau, "load_state_dict", lambda self, state: None),
    "stopping": ("torch", EarlyStopping, "load_state_dict", lambda self, state: None),
    "the draws": ("torch", torch, "set_rng_state", lambda state: None),
    "the scale": ("torch", mixed_precision.Scaler, "load_state_dict", lambda self, state: None),
    "the plateau of Keras": ("keras", KerasPlateau, "set_state", lambda self, state: None),
    "stopping of Keras": ("keras", KerasStopping, "set_state", lambda self, state: None),
}


class CutOff(unittest.TestCase):
    """Whatever a training keeps besides the weights: it goes on with it, to the bit."""

    @parameterized.expand([(side, after) for side in SIDES for after in (5, 8)])
    def test_samebits(self, side: str, after: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            history, numbers = trained_in_parts(side, folder, after)
        whole, expected = trained(side)
        self.assertEqual(len(whole.epochs["loss"]), 8, "stopping should have ended it")
        self.assertGreater(len(set(whole.steps["learning_rate"].values())), 1, "the plateau should have reduced it")
        self.assertEqual(history.as_json(), whole.as_json())
        for one, other in zip(numbers, expected, strict=True):
            np.testing.assert_array_equal(one, other)

    @parameterized.expand([(side,) for side in SIDES])
    def test_killed_before_the_last_weights_and_run_again_and_again(self, side: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _, numbers = trained_in_parts(side, folder, 8)
            for _ in range(2):
                _, again = trained(side, folder)
                for one, other in zip(numbers, again, strict=True):
                    np.testing.assert_array_equal(one, other)

    @parameterized.expand([(name, *bug) for name, bug in LOST.items()])
    def test_what_is_lost_is_seen(self, name: str, side: str, place: Any, attribute: str, wrong: Any) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(place, attribute, wrong):
            history, numbers = trained_in_parts(side, folder, 5)
        whole, expected = trained(side)
        same = all(map(np.array_equal, numbers, expected))
        self.assertFalse(history.as_json() == whole.as_json() and same)


class Resumed(unittest.TestCase):
    @parameterized.expand([(side,) for side in SIDES])
    def test_a_finished_training_is_not_done_again_and_can_be_longer(self, side: str) -> None:
        recipe = composed.adaptive()
        with tempfile.TemporaryDirectory() as folder:
            _, short = composed.train(side, recipe, folder=folder, epochs=2)
            with mock.patch.object(TRAINERS[side].Feed, "batch", side_effect=AssertionError("trained again")):
                _, again = composed.train(side, recipe, folder=folder, epochs=2)
            longer, network = composed.train(side, recipe, folder=folder, epochs=3)
        self.assertEqual(bits(short), bits(again))
        whole, other = composed.train(side, recipe, epochs=3)
        self.assertEqual((longer.as_json(), bits(network)), (whole.as_json(), bits(other)))

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


def bits(network: Any) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in diglot.get_state(network).items()}
