"""An architecture is three new files: CONTRIBUTING's own, in a fresh copy of the repository, and as a third party's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from diglot.core import report
from diglot.core.checks import CHECKS

ROOT = Path(__file__).parents[1]
TREES = ("core", "torch_impl", "keras_impl")


def listings() -> dict[str, str]:
    """The files that CONTRIBUTING.md shows, by path."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^`(\w+/\w+/\w+\.py)`\n```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))


def copied(target: Path) -> dict[str, str]:
    """A copy of the sources laid out as they are installed, and the environment in which it is imported."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "diglot", target / "diglot", ignore=ignore)
    for tree in TREES:
        shutil.copytree(ROOT / tree, target / "diglot" / tree, ignore=ignore)
    return {**os.environ, "PYTHONPATH": str(target)}


def checked(environment: dict[str, str], folder: Path) -> list[tuple[str, str, str]]:
    """Run the highway network's checks in a process of its own; spec, check and verdict of every cell."""
    command = [sys.executable, "-m", "diglot", "check", "highway", "--report", str(folder)]
    done = subprocess.run(command, env=environment, cwd=folder.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [(cell.spec, cell.check, str(cell.verdict)) for cell in report.read(folder / "results.json").cells]


class ThreeFiles(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        checks = [check for check, (_, dtypes) in CHECKS.items() if check != "generation" for _ in dtypes]
        self.expected = [("highway_small", check, "equal") for check in checks]

    def test_the_page_shows_one_file_per_tree(self) -> None:
        self.assertEqual(list(listings()), [f"{tree}/architectures/highway.py" for tree in TREES])

    def test_every_check_finds_them(self) -> None:
        environment = copied(self.folder / "site")
        for path, text in listings().items():
            (self.folder / "site" / "diglot" / path).write_text(text, encoding="utf-8")
        self.assertEqual(checked(environment, self.folder / "reports"), self.expected)
        for command in (["list"], ["show", "highway"]):
            line = [sys.executable, "-m", "diglot", *command]
            done = subprocess.run(line, env=environment, cwd=self.folder, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("highway", done.stdout)

    def test_a_third_party_brings_them_by_entry_point(self) -> None:
        package = self.folder / "zoo"
        for path, text in listings().items():
            tree = path.split("/")[0]
            text = text.replace("from ...core.architectures.highway", "from zoo.core.architectures.highway")
            text = re.sub(r"^from \.\.(\w)", rf"from diglot.{tree}.\1", text, flags=re.MULTILINE)
            (package / path).parent.mkdir(parents=True)
            (package / path).write_text(text, encoding="utf-8")
        described = self.folder / "zoo-1.0.dist-info"
        described.mkdir()
        (described / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo\nVersion: 1.0\n")
        (described / "entry_points.txt").write_text("[diglot.specs]\nzoo = zoo\n")
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        self.assertEqual(checked(environment, self.folder / "reports"), self.expected)
