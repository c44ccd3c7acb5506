"""The report of a training: pictures and one page, of one side or of both."""

from __future__ import annotations

import math
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

from diglot.core.errors import ReportError
from diglot.core.history import History
from parameterized import parameterized
from PIL import Image

from diglot.monitoring import report

PICTURES = [
    "dead_units",
    "epoch_loss",
    "flow_norm",
    "flow_update",
    "gradient_norm",
    "learning_rate",
    "loss",
    "loss_scale",
]


def history(steps: int = 3, norm: float = 1.0) -> History:
    made = History()
    for step in range(steps):
        made.note_step(step, loss=1.0 / (step + 1), learning_rate=0.1, loss_scale=2.0**16, gradient_norm=norm)
        made.note_flow(step, ["<a>.kernel", "b.kernel"], [[0, 1, norm, 0, 0.1], [0, 1, 1.0, 0, float("nan")]])
        made.note_dead(step, {"<a>": 0.75})
    made.note_epoch(0, loss=1.0, val_loss=0.5)
    return made


class Reports(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / "deep" / "report"

    def test_both_sides(self) -> None:
        path = report({"torch": history(), "keras": history(norm=5e3)}, self.folder, "A <run>")
        self.assertEqual(path, self.folder / "index.html")
        self.assertEqual(sorted(file.stem for file in self.folder.glob("*.png")), PICTURES)
        for file in self.folder.glob("*.png"):
            with Image.open(file) as image:
                self.assertGreater(len(image.convert("RGB").resize((60, 30)).getcolors(1800)), 5, file)
        page = path.read_text()
        self.assertIn("A &lt;run&gt;", page)
        self.assertIn("PyTorch and Keras", page)  # the dead units of both, once
        self.assertEqual(page.count("75% of the units are dead"), 1)
        self.assertEqual(page.count("the gradient explodes"), 1)
        self.assertEqual(page.count("data:image/png;base64,"), 2 * len(PICTURES))
        self.assertEqual(set(re.findall(r'(?:src|srcset|href)="([^"]{5})', page)), {"data:"})
        self.assertNotIn("<script", page)

    def test_one_of_a_single_step(self) -> None:
        made = History()
        made.note_step(0, loss=0.25)
        page = report(made, self.folder).read_text()
        self.assertIn("No gradients were noted", page)
        self.assertEqual([file.stem for file in self.folder.glob("*.png")], ["loss"])

    def test_numbers_that_are_none(self) -> None:
        made = History()
        for step, value in enumerate((1.0, math.nan, math.inf, 0.0, -1.0, 1e300)):
            made.note_step(step, loss=value, loss_scale=value)
            made.note_flow(step, ["a.w", "b.w"], [[value] * 5, [0.0] * 5])
        made.note_epoch(0, loss=math.nan)
        page = report({"torch": made, "keras": History()}, self.folder).read_text()
        self.assertIn("a: the gradient is not finite (steps 1 to 2)", page)
        self.assertIn("b: no gradient reaches it", page)

    @parameterized.expand([
        ("of_nothing", History(), "the history holds no step, epoch or flow; note what the training came to"),
        ("of_no_side", {}, "the sides of a history are torch and keras, not none"),
        ("of_another_side", {"jax": history()}, "the sides of a history are torch and keras, not 'jax'"),
    ])  # fmt: skip
    def test_refused(self, name: str, given: Any, sentence: str) -> None:
        with self.assertRaisesRegex(ReportError, sentence):
            report(given, self.folder)
        self.assertFalse(self.folder.exists())

    def test_folder_that_is_a_file(self) -> None:
        self.folder.parent.mkdir()
        self.folder.write_text("mine")
        with self.assertRaisesRegex(ReportError, "cannot be used"):
            report(history(1), self.folder)
        self.assertEqual(self.folder.read_text(), "mine")


if __name__ == "__main__":
    unittest.main()
