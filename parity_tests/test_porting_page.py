"""The page on porting: its programs run, and each stage of its port is told apart as it says."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from diglot.core.port.mapfile import write_map

import diglot
from diglot import cli

PAGE = Path(__file__).parents[1] / "docs" / "porting.md"
COMMAND = "$ diglot compare original:model port:model --shape 4,8,8,3"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def named() -> dict[str, str]:
    """The programs by the names of their files."""
    return {program.split("\n", 1)[0].removeprefix("# "): program for program in blocks("python")}


def shape(printed: str) -> dict[str, Any]:
    """What an output says beside its figures: the checks with verdicts and layers, and the settings that it names."""
    rows = re.findall(r"^(weights|forward|gradients|training) +(\S+).*?(\w*) *$", printed, re.MULTILINE)
    flat = " ".join(printed.split())
    faults = re.sub(r"\(given the .*", "", flat[flat.find("Parity ") :])
    return {
        "rows": [(check, verdict, layer if verdict == "different" else "") for check, verdict, layer in rows],
        "located": re.findall(r"at (PyTorch's `[^`]+` and Keras's `[^`]+` \([a-z ]+\)):", flat),
        "marked": re.findall(r"^(\S+) +(\S+) .*◀ here *$", printed, re.MULTILINE),
        "settings": sorted(set(re.findall(r"\(\(\d, \d\), \(\d, \d\)\)|\b\de-\d\d\b", faults))),
    }


class Page(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home, before = Path(folder.name), os.getcwd()
        os.chdir(self.home)
        self.addCleanup(os.chdir, before)
        self.enterContext(mock.patch.object(sys, "path", [str(self.home), *sys.path]))
        self.addCleanup(self.forget)
        for name, program in named().items():
            (self.home / name).write_text(program)

    def forget(self) -> None:
        for name in ("original", "port"):
            sys.modules.pop(name, None)

    def mend(self) -> None:
        for old, new in self.mistakes():
            program = (self.home / "port.py").read_text()
            self.assertEqual(program.count(old), 1)
            (self.home / "port.py").write_text(program.replace(old, new))

    def mistakes(self) -> list[tuple[str, str]]:
        return [(old.removeprefix("-"), new.removeprefix("+")) for old, new in (b.split("\n") for b in blocks("diff"))]

    def printed(self) -> str:
        """What the page's command prints, and its exit status."""
        self.forget()
        arguments = COMMAND.removeprefix("$ ").split()
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            mock.patch.object(sys, "argv", arguments),
            mock.patch.dict(os.environ, {"COLUMNS": "100"}),
            self.assertRaises(SystemExit) as caught,
        ):
            cli.main()
        return f"{out.getvalue()}\nexit {caught.exception.code or 0}"

    def test_the_mistakes_are_found_one_after_another(self) -> None:
        told = [block.removeprefix(COMMAND).strip("\n") for block in blocks("console")]
        mistakes = [None, *self.mistakes()]
        self.assertEqual((len(told), len(mistakes)), (5, 5))
        for stage, mistake in enumerate(mistakes):
            if mistake is not None:
                program = (self.home / "port.py").read_text()
                self.assertEqual(program.count(mistake[0]), 1)
                (self.home / "port.py").write_text(program.replace(*mistake))
            printed = self.printed()
            self.assertEqual(shape(printed), shape(told[stage]), (stage, printed))
            self.assertEqual(printed.splitlines()[-1], f"exit {int(stage < 4)}")

    def test_the_programs_print_what_the_page_says(self) -> None:
        self.mend()
        told = blocks("text")
        for name, expected in zip(("compare.py", "transfer.py", "going_on.py"), told, strict=True):
            self.forget()
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile((self.home / name).read_text(), name, "exec"), {"__name__": name})
            if name == "going_on.py":  # float32 may round otherwise on another machine
                pairs = [line.split() for line in out.getvalue().splitlines()[:5]]
                self.assertTrue(all(one == other for one, other in pairs), out.getvalue())
                self.assertEqual(out.getvalue().splitlines()[5:], expected.splitlines()[5:])
            else:
                self.assertEqual(out.getvalue().strip(), expected)

    def test_the_map_file_is_one(self) -> None:
        self.mend()
        (self.home / "map.toml").write_text(blocks("toml")[0])
        import original
        import port

        mapping = diglot.transfer(original.model, port.classifier(), map="map.toml")
        self.assertEqual(mapping["head.weight"], ("head/kernel",))
        self.assertEqual({match.how for match in mapping.matches if match.name.startswith("attention.norm")}, {"map"})
        write_map("full.toml", diglot.transfer(original.model, port.model))
        self.assertIn(blocks("toml")[1], (self.home / "full.toml").read_text())
