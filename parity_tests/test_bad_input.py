"""Bad requests: exit status 2 and one sentence on the command line, one DiglotError in Python, and nothing changed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from diglot.core.errors import DiglotError, MissingFrameworkError, SpecError, StateError
from parameterized import parameterized

import diglot

SIDES = [("torch",), ("keras",)]
SPEC = diglot.spec("mlp_small")
BEFORE, AFTER = diglot.initial_state(SPEC, 1), diglot.initial_state(SPEC, 2)
LAST = list(AFTER)[-1]

# Where a framework is not installed, no finder finds it.
HIDING = """
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {hidden!r} else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path = [Hiding(finder) for finder in sys.meta_path]
"""
COMMAND = "from diglot.cli import main\nsys.argv = ['diglot', *{words!r}]\nmain()"
FILES = """
import diglot, tempfile, os
spec = diglot.spec("mlp_small")
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "net")
    diglot.save(path, spec, diglot.initial_state(spec))
    read, state = diglot.load(path)
print(read == spec, len(state))
"""
ALL = ("torch", "keras", "tensorflow")


def python(*arguments: str, cwd: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, env=environment)


def without(hidden: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    return python("-c", HIDING.format(hidden=set(hidden)) + code)


class CommandLine(unittest.TestCase):
    def refused(self, *words: str) -> str:
        """What standard error says of a request; it stands alone there, and no file is left."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "file").touch()
            done = python("-m", "diglot", *words, cwd=folder)
            self.assertEqual(os.listdir(folder), ["file"])
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr.strip()

    @parameterized.expand(
        [
            ("check resnet19", "there is no architecture, preset or technique 'resnet19'; did you mean 'resnet18'"),
            ("check mlp --checks forwrd", "there is no check 'forwrd'; did you mean 'forward'"),
            ("check mlp --checks forward,", "there is no check ''; there are structure, forward, "),
            ("check mlp --dtype float16", "there is no dtype 'float16'; did you mean 'float64' or 'float32'?"),
            ("check mlp --dtype=", "there is no dtype ''; there are float64, float32"),
            ("check adam --checks forward", "none of the checks forward applies to these names"),
            ("check mlp --resume", "--resume needs --report DIR"),
            ("check mlp --report file", "the report folder file is a file"),
            ("check mlp --report file/reports", "the report folder file/reports cannot be used: Not a directory"),
            ("show no_such_name", "there is no architecture, preset or technique 'no_such_name'"),
            ("show mlp --html file/page.html", "file/page.html cannot be written: Not a directory"),
            ("show mlp --html .", ". is not an ordinary file, so nothing was written"),
        ]
    )
    def test_one_sentence(self, line: str, sentence: str) -> None:
        text = self.refused(*line.split())
        self.assertEqual(text[: len("diglot: ")], "diglot: ")
        self.assertEqual(len(text.splitlines()), 1)
        self.assertIn(sentence, text)

    @parameterized.expand(
        [
            ("check mlp --workers 0", "Invalid value for '--workers'"),
            ("check mlp --seed -1", "Invalid value for '--seed'"),
            ("check mlp --seed one", "Invalid value for '--seed'"),
            ("show", "Missing argument 'name'"),
            ("chekc mlp", "No such command 'chekc'. Did you mean 'check'?"),
            ("list --no-such", "No such option: --no-such"),
        ]
    )
    def test_usage(self, line: str, sentence: str) -> None:
        text = self.refused(*line.split())
        self.assertIn(sentence, text)
        self.assertIn("--help", text)


class WithoutFramework(unittest.TestCase):
    @parameterized.expand([("list",), ("show resnet18",), ("show adam",), ("--help",)])
    def test_commands_that_need_none(self, line: str) -> None:
        done = without(ALL, COMMAND.format(words=line.split()))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout)

    def test_specs_states_and_files(self) -> None:
        done = without(ALL, FILES)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", f"True {len(BEFORE)}\n"))

    @parameterized.expand(
        [
            (" ".join(hidden), hidden)
            for hidden in (("torch",), ("keras",), ("tensorflow",), ("keras", "tensorflow"), ALL)
        ]
    )
    def test_check(self, case: str, hidden: tuple[str, ...]) -> None:
        done = without(hidden, COMMAND.format(words=["check", "adam"]))
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        what = f"a check runs both sides, and this is not installed: {', '.join(hidden)}"
        sentence = f"diglot: {what}; `pip install 'diglot[torch,keras]'`"
        self.assertEqual(done.stderr.strip(), sentence)

    @parameterized.expand(
        [("torch", "torch", "torch"), ("keras", "keras", "keras"), ("keras", "tensorflow", "tensorflow")]
    )
    def test_build(self, side: str, hidden: str, named: str) -> None:
        code = f"import diglot\ntry:\n    diglot.build(diglot.spec('mlp'), {side!r})\nexcept ImportError as error:\n"
        done = without((hidden,), f"{code}    print(type(error).__name__, error)")
        sentence = f"the {side} side needs {hidden}: install it with `pip install 'diglot[{side}]'`"
        self.assertEqual((done.stdout, done.stderr), (f"{MissingFrameworkError.__name__} {sentence}\n", ""))


class Refusing(unittest.TestCase):
    def sentence(self, kind: type[DiglotError], call: Callable[..., Any], *args: Any) -> str:
        with self.assertRaises(kind) as caught:
            call(*args)
        self.assertEqual(len(str(caught.exception).splitlines()), 1)
        return str(caught.exception)


class Building(Refusing):
    @parameterized.expand([(repr(side), side) for side in ("jax", "Torch", "pytorch", "", "a\nb", None, 3, ["torch"])])
    def test_side(self, case: str, side: Any) -> None:
        self.assertIn(f"there is no side {side!r}; ", self.sentence(DiglotError, diglot.build, SPEC, side))

    def test_a_near_miss(self) -> None:
        message = self.sentence(DiglotError, diglot.build, SPEC, "pytorch")
        self.assertEqual(message, "there is no side 'pytorch'; did you mean 'torch'?")

    @parameterized.expand([(repr(dtype), dtype) for dtype in ("float16", "f4", "", None, np.float32, ["float32"], 32)])
    def test_dtype(self, case: str, dtype: Any) -> None:
        message = self.sentence(SpecError, diglot.build, SPEC, "torch", dtype)
        self.assertEqual(message, f"dtype must be float32 or float64, not {dtype!r}")

    @parameterized.expand([("name", "mlp_small"), ("technique", diglot.spec("adam")), ("kind", type(SPEC)),
                           ("none", None), ("model", torch.nn.Sequential(torch.nn.Linear(2, 2)))])  # fmt: skip
    def test_no_spec(self, case: str, spec: Any) -> None:
        for call, arguments in ((diglot.build, ("torch",)), (diglot.initial_state, ())):
            message = self.sentence(SpecError, call, spec, *arguments)
            self.assertIn("takes the spec of an architecture, from diglot.spec(NAME), not ", message)


BAD_STATES: list[tuple[str, Any]] = [
    ("empty", {}),
    ("none", None),
    ("list", [1, 2]),
    ("missing", {name: array for name, array in AFTER.items() if name != LAST}),
    ("extra", {**AFTER, "more": np.zeros(2)}),
    ("shape", {**AFTER, LAST: np.zeros(2)}),
    ("scalar", {**AFTER, LAST: np.float32(0)}),
    ("int", {**AFTER, LAST: AFTER[LAST].astype(int)}),
    ("complex", {**AFTER, LAST: AFTER[LAST].astype(complex)}),
    ("longdouble", {**AFTER, LAST: AFTER[LAST].astype(np.longdouble)}),
    ("object", {**AFTER, LAST: AFTER[LAST].astype(object)}),
    ("ragged", {**AFTER, LAST: [[1.0], [1.0, 2.0]]}),
    ("word", {**AFTER, LAST: "abcde"}),
    ("another network", diglot.initial_state(diglot.spec("resnet_small"))),
]


class Setting(Refusing):
    models: dict[str, Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.models = {side: diglot.build(SPEC, side) for (side,) in SIDES}

    def holds(self, side: str, state: dict[str, np.ndarray]) -> None:
        held = diglot.get_state(self.models[side])
        self.assertEqual(list(held), list(state))
        for name, array in state.items():
            self.assertEqual(held[name].tobytes(), array.tobytes(), name)

    @parameterized.expand([(f"{side} {case}", side, state) for (side,) in SIDES for case, state in BAD_STATES])
    def test_a_bad_state_changes_nothing(self, case: str, side: str, state: Any) -> None:
        diglot.set_state(self.models[side], BEFORE)
        self.sentence(StateError, diglot.set_state, self.models[side], state)
        self.holds(side, BEFORE)

    @parameterized.expand([(f"{side} {case}", side, stored) for (side,) in SIDES for case, stored in (
        ("big endian", lambda array: array.astype(">f4")), ("fortran order", np.asfortranarray),
        ("backwards", lambda array: array[::-1].copy()[::-1]), ("list", np.ndarray.tolist),
        ("float64", lambda array: array.astype("float64")),
        ("frozen", lambda array: np.broadcast_to(array, array.shape)),
    )])  # fmt: skip
    def test_a_good_state_however_stored(self, case: str, side: str, stored: Callable[[np.ndarray], Any]) -> None:
        diglot.set_state(self.models[side], BEFORE)
        diglot.set_state(self.models[side], {name: stored(array) for name, array in AFTER.items()})
        self.holds(side, AFTER)

    @parameterized.expand(SIDES)
    def test_what_is_got_is_the_callers_own(self, side: str) -> None:
        diglot.set_state(self.models[side], BEFORE)
        for array in diglot.get_state(self.models[side]).values():
            array += 1
        self.holds(side, BEFORE)


class Foreign(Refusing):
    @parameterized.expand([
        ("torch", torch.nn.Linear(2, 2)), ("torch list", torch.nn.Sequential(torch.nn.Linear(2, 2))),
        ("keras", keras.Sequential([keras.layers.Dense(2)])), ("keras layer", keras.layers.Dense(2)),
        ("int", 3), ("none", None), ("spec", SPEC), ("state", BEFORE), ("side", "torch"),
    ])  # fmt: skip
    def test_no_model_of_ours(self, case: str, model: Any) -> None:
        for call, arguments in ((diglot.get_state, ()), (diglot.set_state, (BEFORE,))):
            message = self.sentence(StateError, call, model, *arguments)
            self.assertIn(type(model).__name__, message)
            self.assertRegex(message, "was not built by diglot.build|is neither a PyTorch module nor a Keras model")

    @parameterized.expand(SIDES)
    def test_a_model_that_does_not_fit_its_spec(self, side: str) -> None:
        model = diglot.build(SPEC, side)
        model.spec = SPEC.replace(hidden_dims=(16, 8, 3), output_dim=7)
        message = self.sentence(StateError, diglot.get_state, model)
        for words in ("hidden.2.dense.", "is missing", "head.", "should be (7,)"):
            self.assertIn(words, message)

    def test_a_module_that_the_spec_does_not_know(self) -> None:
        net = diglot.build(SPEC, "torch")
        net.extra = torch.nn.Linear(2, 2)
        self.assertIn("extra.weight is not in the spec", self.sentence(StateError, diglot.get_state, net))
