"""The page on training: its program runs, and its table of precisions is what both frameworks answer."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

from diglot.keras_impl.techniques import mixed_precision as keras_precision
from diglot.torch_impl.techniques import mixed_precision as torch_precision

import diglot

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
SMALLER = {
    "[:1200]": "[:160]",
    "[1200:]": "[1700:]",
    "epochs=6": "epochs=1",
    "warmup_steps=10": "warmup_steps=2",
    "width=16": "width=4",
    "watch=10": "watch=2",
}


def programs() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


class Page(unittest.TestCase):
    def test_the_program_runs(self) -> None:
        program, _ = programs()
        for whole, part in SMALLER.items():
            self.assertIn(whole, program)
            program = program.replace(whole, part)
        names: dict[str, Any] = {"__name__": "training"}
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                os.chdir(folder)
                exec(compile(program, str(PAGE), "exec"), names)
            finally:
                os.chdir(before)
            self.assertTrue((Path(folder) / "runs/report/index.html").exists())
        self.assertEqual([line.split()[0] for line in printed.getvalue().splitlines()], ["torch", "keras"])
        self.assertEqual({len(history.steps["loss"]) for history in names["histories"].values()}, {3})

    def test_the_program_that_moves_a_training_runs(self) -> None:
        _, program = programs()
        self.assertEqual(program.count("[:1600]"), 2)
        program = program.replace("[:1600]", "[:128]").replace("shuffle=False", "shuffle=False, verbose=0")
        names: dict[str, Any] = {"__name__": "moving"}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(program, str(PAGE), "exec"), names)
        step, one, other = printed.getvalue().split()
        self.assertEqual((step, one), ("4", other))
        self.assertEqual(int(names["moved"].iterations), 8)

    def test_the_table_of_precisions(self) -> None:
        kept = [side.kept(diglot.spec("mixed_precision")) for side in (torch_precision, keras_precision)]
        rows = re.findall(r"^\| ([^|]+) \| (b?float\d+) \| (b?float\d+) \|$", PAGE.read_text(), re.MULTILINE)
        self.assertEqual([tuple(row) for row in rows], [(name, kept[0][name], kept[1][name]) for name in kept[0]])
        half = [side.kept(diglot.spec("mixed_precision"), "float16") for side in (torch_precision, keras_precision)]
        self.assertEqual(*half)
