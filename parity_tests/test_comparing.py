"""`diglot compare` and `assert_parity`: two models by name, inputs from files, and what is told where they differ."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import jsonschema
import numpy as np
from diglot.core import report as reports
from diglot.core.compare import Comparison
from diglot.core.errors import InputError
from diglot.core.port.findings import Finding
from diglot.core.port.mapping import Match, WeightMapping
from diglot.core.port.piece import Piece
from diglot.core.report import compared, diagnosis, page
from diglot.core.results import Cell, Report
from diglot.core.verdict import Verdict
from parameterized import parameterized
from rich.console import Console

import diglot
from diglot import cli, comparing
from diglot.testing import assert_parity

MODELS = """
import keras
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.act, self.last = nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.act(self.first(x)))


def model(activation="gelu"):
    act = keras.layers.Activation(activation, name="a")
    layers = [keras.layers.Dense(4, name="d1"), act, keras.layers.Dense(2, name="d2")]
    return keras.Sequential([keras.Input((3,)), *layers])


def wrong():
    return model("relu")


number = 3
"""
SCRIPT = """import argparse
parser = argparse.ArgumentParser(); parser.add_argument("data")
parser.parse_args()
"""
TEST = """
import numpy as np
from diglot.testing import assert_parity
from two_models import Net, wrong

def test_my_port():
    assert_parity(Net, wrong, np.linspace(-1, 1, 6).reshape(2, 3), checks="forward")
"""


class Folder(unittest.TestCase):
    """A folder of the user's own with two models, which is the current one."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home, before = Path(folder.name), os.getcwd()
        os.chdir(self.home)
        self.addCleanup(os.chdir, before)
        self.enterContext(mock.patch.object(sys, "path", [str(self.home), *sys.path]))
        self.addCleanup(sys.modules.pop, "two_models", None)
        (self.home / "two_models.py").write_text(MODELS)
        np.savez(self.home / "x.npz", np.linspace(-1, 1, 6).reshape(2, 3))

    def run_command(self, *arguments: str) -> tuple[int, str, str]:
        """The exit status of `diglot compare`, what it prints, and what it complains of."""
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as complaints,
            mock.patch.object(sys, "argv", ["diglot", "compare", *arguments]),
            mock.patch.dict(os.environ, {"COLUMNS": "120"}),
            self.assertRaises(SystemExit) as caught,
        ):
            cli.main()
        return int(caught.exception.code or 0), out.getvalue(), complaints.getvalue()


class Command(Folder):
    def test_two_that_are_the_same(self) -> None:
        status, out, _ = self.run_command(
            "two_models:Net",
            "two_models.py:model",
            "--inputs",
            "x.npz",
            "--checks",
            "forward",
            "--write-map",
            "map.toml",
        )
        self.assertEqual(status, 0, out)
        self.assertIn("4 weights matched", out)
        self.assertIn("Parity holds: equal", out)
        self.assertIn("first.weight", (self.home / "map.toml").read_text())
        status, out, _ = self.run_command(
            "two_models:Net", "two_models:model", "--shape", "2,3", "--map", "map.toml", "--checks", "forward"
        )
        self.assertEqual(status, 0, out)
        self.assertIn("4 weights matched", out)

    def test_a_map_of_what_could_not_be_told(self) -> None:
        beside = (
            "import keras\nfrom torch import nn\n"
            "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
            "        self.p, self.q = nn.Linear(3, 4), nn.Linear(3, 4)\n"
            "    def forward(self, x):\n        return self.p(x) * self.q(x)\n"
            "def model():\n    i = keras.Input((3,))\n"
            "    return keras.Model(i, keras.layers.Dense(4, name='u')(i) * keras.layers.Dense(4, name='v')(i))\n"
        )
        (self.home / "beside.py").write_text(beside)
        self.addCleanup(sys.modules.pop, "beside", None)
        words = ["beside:Net", "beside:model", "--shape", "2,3", "--checks", "forward"]
        status, _, complaints = self.run_command(*words, "--write-map", "open.toml")
        self.assertEqual(status, 2)
        self.assertIn("open.toml holds what was found, and the rest as candidates; correct it", complaints)
        text = (self.home / "open.toml").read_text()
        self.assertIn('# "p" = "u"\n# "q" = "v"\n', text)
        status, _, complaints = self.run_command(*words, "--write-map", "open.toml")
        self.assertIn("the map file open.toml is there already, and was left as it is", complaints)
        self.assertEqual((self.home / "open.toml").read_text(), text)
        (self.home / "open.toml").write_text(text.replace('# "', '"'))
        status, out, complaints = self.run_command(*words, "--map", "open.toml", "--write-map", "open.toml", "--force")
        self.assertEqual(status, 0, complaints + out)
        self.assertIn("[[weight]]", (self.home / "open.toml").read_text())
        self.assertIn("cannot be written", self.run_command(*words, "--write-map", "none/map.toml")[2])

    @parameterized.expand(
        [
            ("a module", "import sys\nsys.exit(0)\n", "ends.py:Net", r"sys\.exit\(0\) at .*ends\.py, line 2"),
            ("a factory", "import sys\ndef make():\n    sys.exit(3)\n", "ends:make", r"sys\.exit\(3\) .*, in make"),
            ("a script", SCRIPT, "ends:Net", r"sys\.exit\(2\) at .*ends\.py, line 3"),
        ]
    )
    def test_a_model_that_ends_the_process(self, what: str, code: str, name: str, said: str) -> None:
        (self.home / "ends.py").write_text(code)
        self.addCleanup(sys.modules.pop, "ends", None)
        status, _, complaints = self.run_command(name, "two_models:model", "--shape", "2,3", "--checks", "forward")
        self.assertEqual(status, 2, what)
        self.assertRegex(complaints, said)
        self.assertNotIn("--shape", complaints)

    def test_a_script_that_reads_no_command_line_of_ours(self) -> None:
        code = "import argparse\nargparse.ArgumentParser().parse_args()\nfrom two_models import Net\n"
        (self.home / "ends.py").write_text(code)
        self.addCleanup(sys.modules.pop, "ends", None)
        status, out, _ = self.run_command("ends:Net", "two_models:model", "--shape", "2,3", "--checks", "forward")
        self.assertEqual(status, 0, out)

    def test_inputs_beyond_the_memory(self) -> None:
        status, _, complaints = self.run_command("two_models:Net", "two_models:model", "--shape", "999999999999,999999")
        self.assertEqual(status, 2)
        self.assertIn("does not fit into memory", complaints)

    def test_two_that_differ(self) -> None:
        status, out, _ = self.run_command(
            "two_models:Net", "two_models:wrong", "--shape", "2,3", "--report", "r", "--checks", "forward,gradients"
        )
        self.assertEqual(status, 1, out)
        self.assertIn("Parity does not hold: different", out)
        row = next(line for line in out.splitlines() if diagnosis.LOCATED in line)
        self.assertEqual(row.split()[:2], ["act", "a"])
        self.assertRegex(out, r"at PyTorch's `act` and Keras's `a` \(gelu\): .*relu")
        report = reports.read("r/results.json")
        self.assertEqual([cell.check for cell in report.cells], ["forward", "gradients"])
        self.assertEqual(report.mapping["first.weight"], ("d1/kernel",))  # type: ignore[index]
        self.assertEqual([item.located for item in report.findings], [False, True, False])
        self.assertIn("Which weight was taken for which", (self.home / "r/summary.md").read_text())
        text = (self.home / "r/index.html").read_text()
        self.assertIn('<tr class="marked">', text)
        self.assertNotIn("no planted bug has been calibrated", text)

    @parameterized.expand([
        ("nothing", [], "'nothing' names no model; give module:attribute or path/to/file.py:attribute, of an instance"),
        ("no.such:Net", [], "there is no module no.such here; name a module, or a file such as model.py"),
        ("none.py:Net", [], "there is no file none.py"),
        ("two_models:Nett", [], "two_models has no Nett; did you mean 'Net'?"),
        ("broken:Net", [], "broken cannot be imported: ZeroDivisionError: division by zero"),
        ("needs:Net", [], "needs cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("two_models:number", [], "int"),
        ("two_models:Net", ["--shape", "2,x"], "--shape '2,x' is none; give sizes such as 2,32,32,3, 2,16:int:1000 or"),
        ("two_models:Net", ["--shape", "2,3:float:4"], "--shape '2,3:float:4' is none"),
        ("two_models:Net", ["--shape", "2,0"], "--shape '2,0' is none"),
        ("two_models:Net", ["--shape", "a=2,3"], "--shape gives some inputs by name and some without"),
        ("two_models:Net", ["--inputs", "x.npz"], "--inputs and --shape both give the inputs; use one of them"),
        ("two_models:Net", ["--checks", "forwards"], "there is no check 'forwards' of two models; they are weights,"),
        ("two_models:Net", ["--map", "none.toml"], "none.toml"),
    ])  # fmt: skip
    def test_what_is_wrong_is_said(self, name: str, options: list[str], told: str) -> None:
        (self.home / "broken.py").write_text("1 / 0")
        (self.home / "needs.py").write_text("import no_such_module_anywhere")
        self.assert_refused([name, "two_models:model", "--shape", "2,3", *options], told)

    @parameterized.expand([
        ([], "compare needs inputs: --inputs FILE.npz, or --shape such as 2,32,32,3, in the Keras layout"),
        (["--inputs", "none.npz"], "--inputs none.npz cannot be read: No such file or directory; write it by np.savez"),
        (["--inputs", "two_models.py"], "--inputs two_models.py cannot be read: it is no file of NumPy arrays"),
        (["--inputs", "empty.npz"], "--inputs empty.npz holds no array"),
    ])  # fmt: skip
    def test_inputs_that_are_none(self, options: list[str], told: str) -> None:
        np.savez(self.home / "empty.npz")
        self.assert_refused(["two_models:Net", "two_models:model", *options], told)

    def assert_refused(self, arguments: list[str], told: str) -> None:
        status, out, complaint = self.run_command(*arguments)
        self.assertEqual((status, out), (2, ""))
        self.assertTrue(complaint.startswith("diglot: "), complaint)
        self.assertEqual(complaint.count("\n"), 1)
        self.assertIn(told, complaint)


class Inputs(Folder):
    def test_drawn(self) -> None:
        found = comparing.drawn(["mask=2,3:bool", "tokens=2,16:int:1000", "x=4,4"], seed=1)
        self.assertEqual({name: (array.shape, array.dtype.kind) for name, array in found.items()},
                         {"mask": ((2, 3), "b"), "tokens": ((2, 16), "i"), "x": ((4, 4), "f")})  # fmt: skip
        self.assertGreater(found["tokens"].max(), comparing.BELOW)
        again = comparing.drawn(["mask=2,3:bool", "tokens=2,16:int:1000", "x=4,4"], seed=1)
        self.assertTrue(all(np.array_equal(found[name], again[name]) for name in found))
        self.assertEqual([array.shape for array in comparing.drawn(["2,3", "4"], seed=0)], [(2, 3), (4,)])

    def test_files(self) -> None:
        np.savez("two.npz", np.ones(1), np.zeros(2))
        np.savez("named.npz", left=np.ones(3))
        np.save("plain.npy", np.ones(4))
        self.assertEqual([array.shape for array in comparing.arrays_of([Path("two.npz"), Path("plain.npy")], "-")],
                         [(1,), (2,), (4,)])  # fmt: skip
        self.assertEqual(list(comparing.arrays_of([Path("named.npz")], "-")), ["left"])
        with self.assertRaisesRegex(InputError, "gives some arrays by name and some without"):
            comparing.arrays_of([Path("two.npz"), Path("named.npz")], "--inputs")
        with self.assertRaisesRegex(InputError, "named.npz holds 'left' once more"):
            comparing.arrays_of([Path("named.npz")] * 2, "--inputs")


class Assertion(Folder):
    def test_the_message_is_the_diagnosis(self) -> None:
        from two_models import Net, model, wrong

        x = np.linspace(-1, 1, 6).reshape(2, 3)
        assert_parity(Net, model, x, checks="forward")
        with self.assertRaises(AssertionError) as caught:
            assert_parity(Net, wrong, x, checks="forward")
        lines = str(caught.exception).splitlines()
        self.assertEqual(lines[0], "Parity does not hold: different (1 check: 1 different)")
        self.assertRegex(lines[1], r"^at PyTorch's `act` and Keras's `a` \(gelu\): .*relu")
        self.assertRegex(str(caught.exception), rf"(?m)^act +a +\S.* {diagnosis.LOCATED}$")
        with self.assertRaises(InputError):
            assert_parity(Net, wrong, [])

    def test_what_pytest_prints(self) -> None:
        (self.home / "test_port.py").write_text(TEST)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "test_port.py"]
        told = {**os.environ, "PYTHONPATH": str(self.home), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.home, env=told)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("E       AssertionError: Parity does not hold: different (1 check: 1 different)", done.stdout)
        self.assertIn("E       at PyTorch's `act` and Keras's `a`", done.stdout)
        self.assertNotIn("comparing.py", done.stdout)


class Reports(Folder):
    report: Report

    def setUp(self) -> None:
        super().setUp()
        from two_models import Net, wrong

        if not hasattr(Reports, "report"):
            x = np.linspace(-1, 1, 6).reshape(2, 3)
            Reports.report = diglot.compare(Net(), wrong(), x, checks=("forward", "training"))

    def test_json_and_back(self) -> None:
        self.report.save("r")
        self.assertEqual(reports.read("r/results.json"), self.report)
        schema = json.loads(Path(reports.__file__).with_name("results.schema.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(json.loads(Path("r/results.json").read_text()))

    def test_long_names_fit_a_narrow_terminal(self) -> None:
        for width in (40, 200):
            console = Console(file=io.StringIO(), width=width)
            compared.show(self.report, console)
            printed = console.file.getvalue()  # type: ignore[attr-defined]
            self.assertLessEqual(max(map(len, printed.splitlines())), width)

    def test_narrow_tables_keep_the_ends_of_names(self) -> None:
        names = [(f"model.encoder.layers.{place}.norm1", f"encoder_{place}/layer_normalization") for place in range(3)]
        item = Comparison("output", Verdict.DIFFERENT, 1.2e13, 3.2, 1.0, 1.0)
        found = tuple(
            Finding(*both, "layer_norm", item, (item, replace(item, name="gradient")), place == 1)
            for place, both in enumerate(names)
        )
        cell = Cell("net", "comparison", "forward", "float64", Verdict.DIFFERENT, 3e9, 3.0, located=names[1][0])
        report = Report([cell], mapping=WeightMapping(()), findings=found)
        for width, backward in ((80, False), (140, True)):
            console = Console(file=io.StringIO(), width=width)
            compared.show(report, console)
            lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
            row = next(line for line in lines if diagnosis.LOCATED in line)
            self.assertIn("rs.1.norm1  ", row)
            self.assertIn("normalization  ", row)
            self.assertEqual("backward" in " ".join(lines), backward)
            self.assertEqual("…" in row, not backward)

    def test_a_comparison_without_checks_says_so(self) -> None:
        console = Console(file=io.StringIO(), width=80)
        compared.show(Report([], mapping=WeightMapping(())), console)
        self.assertIn("0 checks, so nothing was compared", console.file.getvalue())  # type: ignore[attr-defined]

    def test_tensors_are_counted_and_not_their_parts(self) -> None:
        parts = tuple(
            Match(name, "in", (Piece("w", "(part in)"),), (Piece(name, "in"),), "name", ("l",)) for name in ("q", "k")
        )
        self.assertEqual(diagnosis.matched(Report([], mapping=WeightMapping(parts))), "1 weight matched by name")

    def test_what_only_passes_a_fault_on_is_told_apart(self) -> None:
        same, other = (
            Comparison("output", Verdict.EQUAL, 0.0, 17.0, 0.0, 1.0),
            Comparison("tap", Verdict.DIFFERENT, 1.2e13, 3.2, 1.0, 1.0),
        )
        found = (Finding("a", "a", "dense", other, (other,), True), Finding("b", "b", "dense", other, (same,), False))
        rows = diagnosis.rows(found)
        self.assertEqual([row.state for row in rows], ["different", "passes it on"])
        text = page.render(Report([], mapping=WeightMapping(()), findings=found))
        self.assertEqual(text.count('<span class="chip passing">'), 1)

    def test_rows_far_from_the_fault_are_left_out(self) -> None:
        row = diagnosis.Row("a", "b", "dense", "", "", "", diagnosis.Verdict.EQUAL)
        marked = diagnosis.Row("a", "b", "dense", "", "", "", diagnosis.Verdict.DIFFERENT, diagnosis.LOCATED)
        found = diagnosis.near([row] * 9 + [marked] + [row] * 9)
        self.assertEqual([item is None for item in found], [True, *[False] * 7, True])
        self.assertEqual(textwrap.shorten(diagnosis.matched(self.report), 20), "4 weights [...]")
