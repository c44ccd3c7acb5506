"""The runner: cells are isolated, results are kept as they come, and a killed run goes on where it was."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from diglot.core import checks, report, runner
from diglot.core.checks import Outcome
from diglot.core.errors import ReportError, SpecError
from diglot.core.journal import NAME, Journal
from diglot.core.verdict import Verdict
from parameterized import parameterized

import diglot


def explode(pair: object, dtype: str) -> Outcome:
    raise RuntimeError("the cat pulled the plug")


DEADLY = """
import os, signal
from diglot.core import runner
from diglot.core.techniques.dropout import Dropout

Dropout.rule = lambda self, case: os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    report = runner.run(runner.plan(["sgd", "dropout_light"], checks="rule"), workers=2)
    print([str(cell.verdict) for cell in report.cells])
"""


class Isolation(unittest.TestCase):
    def test_an_exception_is_an_error_cell(self) -> None:
        with mock.patch.dict(checks.CHECKS, forward=(explode, ("float64",))):
            result = diglot.check("mlp_small", checks=["structure", "forward", "round_trip"], dtypes="float64")
        self.assertEqual([cell.verdict for cell in result.cells], ["equal", "error", "equal"])
        self.assertIn("the cat pulled the plug", result.cells[1].cause or "")
        self.assertFalse(result.passed)
        self.assertEqual(result.verdict, "error")

    def test_an_empty_comparison_is_a_difference(self) -> None:
        with mock.patch.dict(checks.CHECKS, forward=(lambda pair, dtype: Outcome([]), ("float64",))):
            (cell,) = diglot.check("mlp_small", checks="forward").cells
        self.assertEqual(cell.verdict, "different")

    def test_workers_give_the_same_cells(self) -> None:
        # Element by element: the last bit of a product of matrices may depend on where its memory lies.
        tasks = runner.plan(["clip_by_value", "dropout"])
        alone, beside = runner.run(tasks), runner.run(tasks, workers=2)
        for one, other in zip(alone.cells, beside.cells, strict=True):
            self.assertEqual((one.key(), one.verdict, one.ratio), (other.key(), other.verdict, other.ratio))

    def test_a_dead_worker_costs_one_cell(self) -> None:
        """In a process of its own, since the rule of dropout is made to kill the process that runs it."""
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "deadly.py")
            script.write_text(DEADLY)
            done = subprocess.run([sys.executable, script], capture_output=True, text=True)
        self.assertEqual(done.stdout.splitlines()[-1:], [str(["equal"] * 5 + ["error"])], done.stderr)


class Plan(unittest.TestCase):
    def test_a_name_stands_for_its_small_presets(self) -> None:
        self.assertEqual(
            {task.label for task in runner.plan("mlp")}, {"mlp_small", "mlp_small_gelu", "mlp_small_image"}
        )
        self.assertEqual({task.label for task in runner.plan("resnet18")}, {"resnet18"})

    def test_a_spec_object(self) -> None:
        spec = diglot.spec("mlp", hidden_dims=(5,), input_shape=(3,))
        (cell,) = diglot.check(spec, checks="forward").cells
        self.assertEqual((cell.spec, cell.verdict), ("mlp", "equal"))

    def test_two_specs_of_one_name(self) -> None:
        specs = [diglot.spec("mlp", hidden_dims=(width,), input_shape=(3,)) for width in (4, 5)]
        labels = [task.label for task in runner.plan([*specs, specs[0]], checks="forward")]
        self.assertEqual(labels, ["mlp", "mlp #2"])

    def test_an_empty_list_is_not_all(self) -> None:
        for names, only in (([], None), (None, [])):
            with self.assertRaises(SpecError):
                runner.plan(names, only)

    @parameterized.expand([("names", 3), ("checks", 3), ("dtypes", 3), ("workers", -1), ("workers", "many")])
    def test_a_wrong_kind_of_argument(self, argument: str, value: object) -> None:
        with self.assertRaisesRegex(SpecError, argument):
            diglot.check(**{"names": "sgd", argument: value})

    def test_nothing_to_run(self) -> None:
        with self.assertRaisesRegex(SpecError, "none of the checks rule applies"):
            runner.plan("mlp", checks="rule")


class Resume(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_goes_on_after_kill_9(self) -> None:
        command = [sys.executable, "-m", "diglot", "check", "mlp", "sgd", "--report", str(self.folder)]
        journal = self.folder / NAME
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and (not journal.exists() or len(journal.read_bytes().splitlines()) < 4):
                time.sleep(0.01)
            run.kill()
        kept = [json.loads(line) for line in journal.read_text().splitlines()[1:4]]
        with journal.open("a") as file:
            file.write('{"spec": "mlp_small", "ch')  # the line that a kill cut off
        done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        cells = [cell.to_json() for cell in report.read(self.folder / "results.json").cells]
        self.assertEqual(cells[:3], kept)
        self.assertEqual([cell["verdict"] for cell in cells], ["equal"] * len(runner.plan(["mlp", "sgd"])))

    def test_refuses_another_run(self) -> None:
        runner.run(runner.plan("sgd", checks="rule"), folder=self.folder)
        with self.assertRaisesRegex(ReportError, "seed was 0 and is 1"):
            runner.run(runner.plan("sgd", checks="rule", seed=1), folder=self.folder, resume=True)

    def test_refuses_what_is_no_journal(self) -> None:
        (self.folder / NAME).write_text("a shopping list\n")
        with self.assertRaisesRegex(ReportError, "not a journal"):
            runner.run(runner.plan("sgd"), folder=self.folder, resume=True)

    def test_without_resume_starts_again(self) -> None:
        tasks = runner.plan("sgd", checks="rule")
        for _ in range(2):
            runner.run(tasks, folder=self.folder)
        self.assertEqual(len(Journal(self.folder, runner.identity(tasks), resume=True).cells), len(tasks))

    def test_a_finished_run_runs_nothing(self) -> None:
        tasks = runner.plan("sgd", checks="rule")
        runner.run(tasks, folder=self.folder)
        with mock.patch.object(runner, "evaluate", side_effect=AssertionError):
            again = runner.run(tasks, folder=self.folder, resume=True)
        self.assertEqual({cell.verdict for cell in again.cells}, {Verdict.EQUAL})
