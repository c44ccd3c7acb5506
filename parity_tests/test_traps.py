"""The trap catalogue: its defaults are the installed frameworks', its naive ports go wrong, and its page is current."""

from __future__ import annotations

import contextlib
import inspect
import io
import unittest
from typing import Any
from unittest import mock

from diglot.core import registry, traps
from diglot.core.errors import SpecError
from parameterized import parameterized

from diglot.technique_table import show_techniques

from .traps import PAGE, error, native, ported, run

NATIVE = [(f"{name}_{side}", name, side) for name in registry.techniques() for side in traps.natives(name)]
DEFAULTS = [
    (f"{trap.technique}_{trap.field}_{side}", trap, side) for trap in traps.traps() for side in ("torch", "keras")
]


class Catalogue(unittest.TestCase):
    @parameterized.expand(NATIVE)
    def test_native_classes_are_there(self, label: str, name: str, side: str) -> None:
        self.assertTrue(callable(native(name, side)))

    @parameterized.expand(DEFAULTS)
    def test_defaults_are_the_installed_ones(self, label: str, trap: Any, side: str) -> None:
        argument, default = trap.native[side]
        self.assertEqual(inspect.signature(native(trap.technique, side)).parameters[argument].default, default)

    def test_defaults_differ(self) -> None:
        for trap in traps.traps():
            self.assertEqual(len(traps.natives(trap.technique)), 2, trap)
            self.assertNotEqual(trap.native["torch"], trap.native["keras"], trap)

    def test_a_default_that_differs_has_its_port(self) -> None:
        self.assertLessEqual({trap.technique for trap in traps.traps()}, set(ported()))

    @parameterized.expand([(name,) for name in ported()])
    def test_naive_port(self, name: str) -> None:
        """Wrong wherever a default differs, by what the page says; the siblings are equal in the matrix of checks."""
        found = error(*run(name))
        if traps.of(name):
            self.assertGreater(found, 0)
        (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} |")]
        self.assertTrue(row.endswith(f"| {traps.told(found)} |"), row)

    def test_page(self) -> None:
        """All but the errors, which the test above holds."""
        kept = [line.rpartition(" | ")[0] if line.startswith("| ") else line for line in PAGE.read_text().splitlines()]
        made = [line.rpartition(" | ")[0] if line.startswith("| ") else line for line in traps.page({})]
        self.assertEqual(kept, made, "run `python -m parity_tests.traps --write`")


class Command(unittest.TestCase):
    def shown(self, name: str | None = None, columns: int = 160) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as out, mock.patch.dict("os.environ", {"COLUMNS": str(columns)}):
            show_techniques(name)
        return out.getvalue()

    def test_all(self) -> None:
        text = self.shown()
        for name in registry.techniques():
            self.assertIn(name, text)
        self.assertIn("eps 1e-08 / epsilon 1e-07; ours 1e-08", text)

    def test_by_kind(self) -> None:
        """Every technique once, under its kind; what it is only where there is room."""
        text = self.shown(columns=80)
        self.assertLess(len(text.splitlines()), 4 * len(registry.techniques()))
        first = [line.split()[0] for line in text.splitlines() if line.startswith("  ") and line[2:3].strip()]
        listed = [name for name in first if name in registry.techniques()]
        self.assertEqual(sorted(listed), sorted(registry.techniques()))
        order = ["optimizers", "muon", "schedules", "losses", "huber", "clipping", "mixing", "mixup", "others"]
        self.assertEqual([name for name in first if name in order], order)
        self.assertNotIn("what it is", text)
        self.assertIn("what it is", self.shown(columns=200))

    def test_one(self) -> None:
        text = self.shown("adam")
        for words in ("Frameworks differ: in the convention", "torch.optim.Adam", "eps = 1e-08", "epsilon = 1e-07"):
            self.assertIn(words, text)
        self.assertIn("'uncorrected'", self.shown("adam_uncorrected"))

    def test_one_of_a_framework_alone(self) -> None:
        text = self.shown("lion")
        self.assertIn("PyTorch: none of its own\nKeras: keras.optimizers.Lion", text)
        self.assertNotIn("argument and default", text)

    @parameterized.expand([("adm", "did you mean 'adam'"), ("resnet18", "`diglot techniques` lists them")])
    def test_no_technique(self, name: str, hint: str) -> None:
        with self.assertRaisesRegex(SpecError, f"there is no technique '{name}'; {hint}"):
            show_techniques(name)


if __name__ == "__main__":
    unittest.main()
