"""`diglot run`: what it leaves behind, how it goes on, and what it says of a wrong request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from diglot.core import parting
from diglot.core.backend import SIDES
from diglot.core.errors import DiglotError
from parameterized import parameterized

import diglot
from diglot.cli import sides_of
from diglot.run_side import PROGRESS, Request, Run, history, kept
from diglot.running import _alone, parted, run_training

from .files import InFolder, same

FIELDS = {"hidden_dims": (6,)}
STEPS = 12


class Running(InFolder):
    def request(self, folder: str = "run", **changes: Any) -> Request:
        asked = {"name": "mlp", "fields": FIELDS, "steps": STEPS, "seed": 0, "dtype": "float32", **changes}
        return Request(folder=str(self.folder / folder), **asked)

    def ran(self, side: str, request: Request) -> Path:
        folder = Path(request.folder) / side
        folder.mkdir(parents=True, exist_ok=True)
        Run(request, side).go(lambda step, found: None)
        return folder

    def sentence(self, request: Request, side: str = "torch") -> str:
        with self.assertRaises(DiglotError) as caught:
            self.ran(side, request)
        return str(caught.exception)

    @parameterized.expand([("torch",), ("keras",)])
    def test_what_is_left_behind(self, side: str) -> None:
        folder = self.ran(side, self.request())
        spec, state = diglot.load(folder / "model.safetensors")
        self.assertEqual((spec.name, spec.hidden_dims), ("mlp", (6,)))
        again = diglot.convert(
            folder / ("model.pt" if side == "torch" else "model.keras"), self.folder / "x.safetensors", spec
        )
        self.assertTrue(same(diglot.load(self.folder / "x.safetensors")[1], state))
        self.assertEqual(again, spec)
        scores = json.loads((folder / "scores.json").read_text())
        self.assertEqual(scores["steps"], STEPS)
        self.assertGreater(scores["held-out accuracy"], 0.1)
        self.assertEqual((folder / "curves.png").read_bytes()[:4], b"\x89PNG")

    @parameterized.expand([("torch",), ("keras",)])
    def test_a_longer_run_goes_on_with_a_shorter_one(self, side: str) -> None:
        whole = self.ran(side, self.request("whole"))
        self.ran(side, self.request("parts", steps=5))
        parts = self.ran(side, self.request("parts"))
        self.assertTrue(same(diglot.load(whole / "model.safetensors")[1], diglot.load(parts / "model.safetensors")[1]))
        (note, arrays), (other, theirs) = kept(whole), kept(parts)  # type: ignore[misc]
        self.assertEqual(note, other)
        self.assertEqual(list(arrays), list(theirs))
        self.assertTrue(all(np.array_equal(arrays[name], theirs[name]) for name in arrays))

    @parameterized.expand([("torch", 2000), ("keras", 600)])
    def test_killed_in_the_middle_and_run_again(self, side: str, steps: int) -> None:
        """By signal 9, behind the first checkpoint: the same weights to the bit as without it."""
        out = self.folder / "killed"
        line = f"run mlp --backend {side} --steps {steps} --out {out}".split()
        patch = "import diglot.run_side as r; r.EVERY = 0.01; from diglot.cli import main; main()"
        process = subprocess.Popen([sys.executable, "-c", patch, *line], stdout=subprocess.DEVNULL)
        while not (out / side / PROGRESS).exists() and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        self.assertEqual(process.wait(), -signal.SIGKILL)
        step = kept(out / side)[0]["step"]  # type: ignore[index]
        self.assertLess(step, steps)
        done = subprocess.run([sys.executable, "-m", "diglot", *line], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        whole = self.ran(side, self.request("whole", fields={}, steps=steps))
        found = diglot.load(out / side / "model.safetensors")[1]
        self.assertTrue(same(diglot.load(whole / "model.safetensors")[1], found))

    @parameterized.expand([(name, side) for name in ("dqn_small", "policy_gradient_small") for side in SIDES])
    def test_an_environment_goes_on(self, name: str, side: str) -> None:
        """In the middle of an episode, behind some updates: weights, slots, replay memory and history, to the bit."""
        whole = self.ran(side, self.request("whole", name=name, fields={}, steps=130))
        self.ran(side, self.request("parts", name=name, fields={}, steps=93))
        parts = self.ran(side, self.request("parts", name=name, fields={}, steps=130))
        (note, arrays), (other, theirs) = kept(whole), kept(parts)  # type: ignore[misc]
        self.assertEqual((note, list(arrays)), (other, list(theirs)))
        self.assertTrue(all(np.array_equal(arrays[name], theirs[name]) for name in arrays))
        self.assertIn("history.loss", arrays)

    def test_an_interruption_waits_for_the_step(self) -> None:
        request = self.request("parts")
        folder = self.folder / "parts" / "torch"
        folder.mkdir(parents=True)
        run = Run(request, "torch")
        do = run.learner.do

        def interrupted(verb: str, arrays: Any, step: int = 0) -> Any:
            if step == 4:
                os.kill(os.getpid(), signal.SIGINT)
            return do(verb, arrays, step)

        run.learner.do = interrupted
        with self.assertRaises(KeyboardInterrupt):
            run.go(lambda step, found: None)
        self.assertEqual(kept(folder)[0]["step"], 5)  # type: ignore[index]
        whole, parts = self.ran("torch", self.request("whole")), self.ran("torch", request)
        self.assertTrue(same(diglot.load(whole / "model.safetensors")[1], diglot.load(parts / "model.safetensors")[1]))

    def test_an_error_leaves_what_was_kept(self) -> None:
        folder = self.ran("torch", self.request(steps=3))
        before = (folder / PROGRESS).read_bytes()
        run = Run(self.request(), "torch")
        run.learner.do = mock.Mock(side_effect=MemoryError("none left"))
        with self.assertRaises(MemoryError):
            run.go(lambda step, found: None)
        self.assertEqual((folder / PROGRESS).read_bytes(), before)

    def test_both_sides_beside_each_other(self) -> None:
        line = ["run", "mlp", "--steps", "4", "--out", str(self.folder / "both")]
        done = subprocess.run([sys.executable, "-m", "diglot", *line], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("loss: ", done.stdout)
        self.assertTrue((self.folder / "both" / "curves.png").exists())
        for side in ("torch", "keras"):
            self.assertTrue((self.folder / "both" / side / "scores.json").exists())

    def test_another_run_is_left_alone(self) -> None:
        folder = self.ran("torch", self.request(steps=3))
        before = (folder / PROGRESS).read_bytes()
        self.assertIn("its seed is 0 and not 1; choose another folder", self.sentence(self.request(seed=1)))
        self.assertIn("its hidden_dims is [6] and not [64, 32]", self.sentence(self.request(fields={})))
        self.assertIn("a run of 3 steps, longer than 2", self.sentence(self.request(steps=2)))
        self.assertEqual((folder / PROGRESS).read_bytes(), before)

    @parameterized.expand([(b"",), (b"abc",), (b"\x02\0\0\0\0\0\0\0{}",)])
    def test_a_damaged_file(self, content: bytes) -> None:
        folder = self.folder / "run" / "torch"
        folder.mkdir(parents=True)
        (folder / PROGRESS).write_bytes(content)
        self.assertIn("is not what a run kept", self.sentence(self.request()))

    def test_one_run_at_a_time(self) -> None:
        with _alone(self.folder / "x"), self.assertRaises(DiglotError) as caught:
            with _alone(self.folder / "x"):
                pass
        self.assertIn("another run is writing to", str(caught.exception))

    @parameterized.expand(
        [
            ("self_attention", {}, "diglot run has no data for 'self_attention'; it trains mlp, resnet"),
            ("vaee", {}, "did you mean 'vae'"),
            ("vae", {"image_size": 30}, "image_size 30 is not a multiple of 4"),
            ("vae", {"image_size": 32}, "those of the data have (28, 28, 1); resize them, or set image_size=28"),
            ("vae_small", {}, "or set image_size=28 and in_channels=1"),
            ("diffusion", {"num_classes": 4}, "num_classes is 4, and the data has a label 9; set num_classes=10"),
            ("dqn", {"environment": "Pendulum-v1"}, "continuous actions"),
            ("mlp", {"colour": 1}, "mlp has no field 'colour'"),
            ("resnet18", {}, "the shape of its image is (224, 224, 3), and that of the data's (8, 8, 1); set"),
            ("transformer_lm_small", {"vocab_size": 9}, "its tokens must be below 9, and the data has "),
            ("densenet", {"num_classes": 4}, "its targets must be below 4, and the data has 9"),
        ]
    )
    def test_a_wrong_request(self, name: str, fields: Any, words: str) -> None:
        with self.assertRaises(DiglotError) as caught:
            run_training(self.request(name=name, fields=fields), ("torch",))
        self.assertIn(words, str(caught.exception))
        self.assertFalse((self.folder / "run").exists())

    def test_other_wrong_requests(self) -> None:
        with self.assertRaisesRegex(DiglotError, "--dtype is float64 or float32, not 'half'"):
            run_training(self.request(dtype="half"), ("torch",))
        with self.assertRaisesRegex(DiglotError, "--backend is torch, keras or both"):
            sides_of("jax")
        with (
            mock.patch(
                "diglot.demo_pair.importlib.util.find_spec",
                side_effect=lambda name: None if name == "matplotlib" else 1,
            ),
            self.assertRaisesRegex(DiglotError, "matplotlib"),
        ):
            run_training(self.request(), ("torch",))


class Parting(InFolder):
    def test_digits_are_relative_to_the_size_of_the_series(self) -> None:
        one, other = np.array([100.0, -100.0, 1e-9]), np.array([100.0, -100.1, 0.0])
        found = parting.digits(one, other)
        self.assertEqual(found[0], 17.0)
        self.assertEqual([round(value) for value in found[1:]], [3, 11])
        self.assertEqual(parting.digits(np.array([1, 2]), np.array([1, 3])).tolist(), [17.0, 0.0])
        self.assertEqual(parting.digits(np.array([np.nan]), np.array([1.0])).tolist(), [0.0])

    def test_where_two_runs_part(self) -> None:
        steps = np.arange(0, 40, 10)
        one = {"loss": (steps, np.array([4.0, 3.0, 2.0, 1.0])), "action": (steps, np.array([0, 1, 1, 0]))}
        other = {"loss": (steps, np.array([4.0, 3.0, 2.5, 1.0])), "action": (steps, np.array([0, 1, 1, 0]))}
        lines = list(parted({"torch": one, "keras": other}))
        self.assertIn("loss: parts at step 20, with fewer than 3", lines[0])
        self.assertEqual(lines[1], "action: the same at every step")
        shifted = {**one, "loss": (steps + (steps == 30), one["loss"][1])}
        self.assertEqual([found.parted for found in parting.of(one, shifted)], [30, None])

    def test_what_only_one_run_has_has_parted(self) -> None:
        long, short = np.arange(5), np.arange(3)
        one = {"loss": (long, np.ones(5)), "alone": (long[2:], np.ones(3))}
        other = {"loss": (short, np.ones(3)), "late": (short[1:], np.ones(2))}
        found = parting.of(one, other)
        self.assertEqual([(item.name, item.parted) for item in found], [("loss", 3), ("alone", 2), ("late", 1)])
        self.assertEqual(found[0].digits.tolist(), [17.0, 17.0, 17.0, 0.0, 0.0])
        self.assertEqual([item.parted for item in parting.of(other, one)], [3, 1, 2])

    def test_a_step_that_is_missing_in_the_middle(self) -> None:
        one, other = {"loss": (np.arange(4), np.ones(4))}, {"loss": (np.array([0, 1, 3]), np.ones(3))}
        (found,) = parting.of(one, other)
        self.assertEqual((found.digits.tolist(), found.parted), ([17.0, 17.0, 0.0, 17.0], 2))

    @parameterized.expand([(np.nan, 0.0), (np.inf, 17.0)])
    def test_one_step_that_is_not_finite(self, value: float, shared: float) -> None:
        one, other = np.array([1.0, value, 1.0]), np.array([1.0, value, 1.001])
        found = parting.digits(one, other)
        self.assertEqual((found[0], found[1], round(found[2])), (17.0, shared, 3))
        self.assertEqual(parting.digits(one, np.ones(3)).tolist(), [17.0, 0.0, 17.0])

    def test_numbers_whose_square_is_too_large(self) -> None:
        self.assertEqual(parting.digits(np.array([1e200]), np.array([2e200])).round().tolist(), [0.0])

    def test_the_fewest_digits_of_a_step(self) -> None:
        one = np.ones((2, 3))
        other = one + np.array([[0, 1e-3, 1e-9], [0, 0, 0]])
        self.assertEqual(parting.digits(one, other).round().tolist(), [3.0, 17.0])
        self.assertEqual(parting.digits(np.eye(2, dtype=int), np.ones((2, 2), int)).tolist(), [0.0, 0.0])
        steps = np.arange(2)
        lengths = parting.of({"taken": (steps, one)}, {"taken": (steps, one[:, :2])})
        self.assertEqual(lengths[0].parted, 0)

    def test_the_order_of_quantities_is_kept(self) -> None:
        arrays = {f"{what}.{name}": np.zeros(1) for name in ("b", "a") for what in ("steps", "history")}
        self.assertEqual(list(history(["b", "a"], arrays)), ["b", "a"])
