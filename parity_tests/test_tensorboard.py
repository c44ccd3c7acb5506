"""TensorBoard: both sides write the same tags, steps and values, at once and while a training runs."""

from __future__ import annotations

import math
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from diglot.core.errors import MissingFrameworkError
from diglot.core.history import History
from diglot.core.noise import generator
from diglot.keras_impl import tensorboard as keras_tensorboard
from diglot.torch_impl import tensorboard as torch_tensorboard
from parameterized import parameterized
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

SIDES = {"torch": torch_tensorboard, "keras": keras_tensorboard}


def fill(history: History) -> History:
    rng = generator(0, "tensorboard")
    for step in range(5):
        history.note_step(step, loss=rng.random(), learning_rate=0.1 * step)
        if step % 2 == 0:
            history.note_flow(step, ["a.kernel", "a.bias"], rng.standard_normal((2, 5)))
            history.note_dead(step, {"a": rng.random()})
    history.note_step(7, loss=math.nan)
    history.note_epoch(0, val_loss=math.inf, val_accuracy=0.5)
    return history


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    tags = events.Tags()["tensors"]
    return {tag: [(one.step, make_ndarray(one.tensor_proto).item()) for one in events.Tensors(tag)] for tag in tags}


def told(found: dict[str, list[tuple[int, float]]]) -> dict[str, str]:
    """As text, in which NaN equals NaN."""
    return {tag: repr(values) for tag, values in found.items()}


class EventFiles(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def wanted(self, history: History) -> dict[str, list[tuple[int, float]]]:
        return {
            tag: [(int(step), float(np.float32(value))) for step, value in zip(steps, values, strict=True)]
            for tag, (steps, values) in history.tags()
        }

    @parameterized.expand(SIDES)
    def test_written_at_once(self, side: str) -> None:
        history = fill(History())
        SIDES[side].write(history, self.folder)
        self.assertEqual(told(read(self.folder)), told(self.wanted(history)))
        self.assertIn("flow/norm/a.kernel", read(self.folder))

    @parameterized.expand(SIDES)
    def test_written_as_it_goes(self, side: str) -> None:
        history = History()
        with SIDES[side].Writer(self.folder) as writer:
            history.listeners.append(writer)
            fill(history)
        self.assertEqual(told(read(self.folder)), told(self.wanted(history)))

    @parameterized.expand(SIDES)
    def test_without_the_package(self, side: str) -> None:
        missing: dict[str, Any] = {"tensorboard": None, "torch.utils.tensorboard": None}
        with mock.patch.dict(sys.modules, missing), mock.patch("importlib.util.find_spec", return_value=None):
            with self.assertRaisesRegex(MissingFrameworkError, "need the package tensorboard"):
                SIDES[side].Writer(self.folder)


if __name__ == "__main__":
    unittest.main()
