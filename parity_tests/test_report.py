"""Reports: the same run told five ways, whatever strings and numbers it holds."""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import jsonschema
from diglot.core import report as reports
from diglot.core.errors import ReportError
from diglot.core.report import as_json, folder, junit, matrix, page, summary, wording
from diglot.core.results import Cell, Report
from diglot.core.verdict import Verdict
from parameterized import parameterized
from rich.console import Console

FILES = {"results.json", "junit.xml", "summary.md", "index.html"}
HOSTILE = (
    "<script>alert(1)</script> & \"'`|*_[bold]x[/bold] \x00\x1b[31m\x9b\u202e\udc80\ufffe ]]> \n\n# line {{ 7 * 7 }}"
)


def cell(spec: str = "mlp", check: str = "forward", dtype: str = "float64", **values: object) -> Cell:
    fields: dict[str, object] = {
        "kind": "architecture",
        "verdict": Verdict.EQUAL,
        "ratio": 1.5,
        "digits": 15.3,
        "worst": "head.kernel",
        "tensors": 4,
        "seconds": 0.25,
    }
    return Cell(spec, check=check, dtype=dtype, **{**fields, **values})  # type: ignore[arg-type]


def equal() -> Report:
    cells = [
        cell(check="structure", ratio=0.0, digits=17.0, worst=""),
        cell(sensitivity=3.5e7),
        cell(check="accuracy", dtype="float32", ratio=2.0, digits=6.9),
        cell("resnet18", ratio=4.0),
        cell("adam", "rule", kind="technique"),
    ]
    return Report(cells, 7, {"torch": "2.13.0", "keras": "3.15.1"}, 1.5, 4e4, "epsilon_tenth_percent")


def mixed() -> Report:
    cells = [
        cell(),
        cell("gru", verdict=Verdict.FLOAT32_EQUAL, ratio=2e5, digits=9.1, located="norm", cause="epsilon is 1.001e-5"),
        cell("vae", verdict=Verdict.DIFFERENT, ratio=math.inf, digits=0.0, cause="3 values are not finite in Keras"),
        cell("gan", verdict=Verdict.ERROR, ratio=0.0, digits=17.0, worst="", cause="ValueError: rank 2"),
    ]
    return Report(cells, seconds=2.0, planted=4e4, planted_bug="bug")


def hostile() -> Report:
    bad = cell(HOSTILE, HOSTILE, kind=HOSTILE, worst=HOSTILE, located=HOSTILE, cause=HOSTILE, verdict=Verdict.DIFFERENT)
    return Report([bad, cell(HOSTILE, "other")], 0, {HOSTILE: HOSTILE}, 1.0, 5.0, HOSTILE)


def long() -> Report:
    return Report([cell("n" * 400, "c" * 90, verdict=Verdict.DIFFERENT, located="l" * 400, cause="w" * 900)])


CASES = [("equal", equal()), ("mixed", mixed()), ("hostile", hostile()), ("long", long()), ("empty", Report([]))]


def printed(report: Report, width: int) -> str:
    console = Console(width=width, no_color=True, file=io.StringIO())
    reports.table(report, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return str(text)


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.home = Path(kept.name)


class Writing(Folder):
    @parameterized.expand(CASES)
    def test_all_files_are_written_and_nothing_else(self, case: str, report: Report) -> None:
        report.save(self.home / "a" / "b")
        self.assertEqual({path.name for path in (self.home / "a" / "b").iterdir()}, FILES)

    @parameterized.expand(CASES)
    def test_two_writes_are_identical(self, case: str, report: Report) -> None:
        report.save(self.home / "one")
        report.save(self.home / "two")
        for name in FILES:
            self.assertEqual((self.home / "one" / name).read_bytes(), (self.home / "two" / name).read_bytes())

    def test_prepare_leaves_an_empty_folder(self) -> None:
        reports.prepare(self.home / "new")
        self.assertEqual(list((self.home / "new").iterdir()), [])

    @parameterized.expand([("prepare", reports.prepare), ("write", lambda target: reports.write(equal(), target))])
    def test_a_file_is_refused_and_kept(self, case: str, use: object) -> None:
        target = self.home / "taken"
        target.write_text("mine")
        for path in (target, target / "below"):
            with self.assertRaises(ReportError) as caught:
                use(path)  # type: ignore[operator]
            self.assertIn(str(path), str(caught.exception))
        self.assertEqual(target.read_text(), "mine")
        self.assertEqual(list(self.home.iterdir()), [target])

    @parameterized.expand([("nul", "a\0b"), ("too long", "a" * 5000)])
    def test_an_impossible_name_is_refused(self, case: str, name: str) -> None:
        with self.assertRaises(ReportError):
            reports.prepare(self.home / name)
        self.assertEqual(list(self.home.iterdir()), [])

    def test_a_folder_that_refuses_files_is_refused(self) -> None:
        refusal = OSError(30, "Read-only file system")
        with mock.patch("tempfile.TemporaryFile", side_effect=refusal), self.assertRaises(ReportError) as caught:
            reports.write(equal(), self.home)
        self.assertIn("Read-only file system", str(caught.exception))
        self.assertEqual(list(self.home.iterdir()), [])

    def test_a_folder_named_like_a_report_is_refused(self) -> None:
        (self.home / "index.html").mkdir()
        with self.assertRaises(ReportError):
            reports.write(equal(), self.home)
        self.assertEqual([path.name for path in self.home.iterdir()], ["index.html"])

    def test_an_interrupted_write_keeps_what_was_there(self) -> None:
        equal().save(self.home)
        before = {path.name: path.read_bytes() for path in self.home.iterdir()}
        full = OSError(28, "No space left on device")
        with mock.patch("os.fsync", side_effect=full), self.assertRaises(ReportError):
            mixed().save(self.home)
        self.assertEqual({path.name: path.read_bytes() for path in self.home.iterdir()}, before)

    def test_a_page_that_cannot_be_made_leaves_nothing(self) -> None:
        broken = mock.Mock(side_effect=RuntimeError)
        with mock.patch.dict(folder.WRITERS, {"index.html": broken}), self.assertRaises(RuntimeError):
            equal().save(self.home / "new")
        self.assertEqual(list(self.home.iterdir()), [])

    def test_importing_reports_loads_neither_rich_nor_jinja(self) -> None:
        code = "import sys, diglot.core.report; print({'rich', 'jinja2'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
        self.assertEqual(done.stdout.strip(), "set()")


class Json(Folder):
    schema = json.loads(files("diglot.core.report").joinpath("results.schema.json").read_text("utf-8"))

    def test_the_schema_is_valid_and_describes_every_property(self) -> None:
        jsonschema.Draft202012Validator.check_schema(self.schema)

        def visit(node: dict[str, object]) -> None:
            for name, value in node.get("properties", {}).items():  # type: ignore[attr-defined]
                self.assertTrue(value.get("description"), name)
                visit(value)

        for node in (self.schema, *self.schema["$defs"].values()):
            self.assertTrue(node["description"])
            visit(node)

    def test_the_schema_requires_every_property(self) -> None:
        for node in (self.schema, self.schema["$defs"]["cell"]):
            self.assertEqual(set(node["required"]), set(node["properties"]))

    @parameterized.expand(CASES)
    def test_results_follow_the_schema(self, case: str, report: Report) -> None:
        values = json.loads(as_json.render(report), parse_constant=self.fail)
        jsonschema.Draft202012Validator(self.schema).validate(values)
        self.assertEqual(next(iter(values)), "schema")
        self.assertEqual((values["verdict"], values["passed"]), (report.verdict.value, report.passed))
        self.assertEqual(sum(values["counts"].values()), len(report.cells))

    @parameterized.expand(CASES)
    def test_reading_gives_the_same_report(self, case: str, report: Report) -> None:
        report.save(self.home)
        self.assertEqual(reports.read(self.home / "results.json"), report)

    @parameterized.expand(
        [
            ("not json", b"{"),
            ("not utf-8", b"\xff\xfe"),
            ("a list", b"[]"),
            ("empty", b""),
            ("foreign", b'{"a": 1}'),
            ("future", b'{"schema": 2}'),
            ("no cells", b'{"schema": 2}'),
            ("deep", b"[" * 100_000),
        ]
    )
    def test_other_files_are_refused(self, case: str, content: bytes) -> None:
        path = self.home / "results.json"
        path.write_bytes(content)
        with self.assertRaises(ReportError) as caught:
            reports.read(path)
        self.assertIn(str(path), str(caught.exception))

    @parameterized.expand(
        [("ratio", "1"), ("digits", None), ("verdict", "fine"), ("cause", 3), ("tensors", 1.5), ("extra", 1)]
    )
    def test_a_cell_of_other_types_is_refused(self, name: str, value: object) -> None:
        values = json.loads(as_json.render(equal()))
        values["cells"][0][name] = value
        path = self.home / "results.json"
        path.write_text(json.dumps(values))
        with self.assertRaises(ReportError):
            reports.read(path)

    def test_a_missing_file_is_refused(self) -> None:
        with self.assertRaises(ReportError):
            reports.read(self.home / "none.json")


class Junit(unittest.TestCase):
    @parameterized.expand(CASES)
    def test_the_totals_are_those_of_the_cases(self, case: str, report: Report) -> None:
        root = ElementTree.fromstring(junit.render(report).encode())
        for node in (root, *root.iter("testsuite")):
            self.assertEqual(int(node.attrib["tests"]), len(list(node.iter("testcase"))))
            self.assertEqual(int(node.attrib["failures"]), len(list(node.iter("failure"))))
            self.assertEqual(int(node.attrib["errors"]), len(list(node.iter("error"))))
        self.assertEqual(bool(root.findall(".//failure") + root.findall(".//error")), not report.passed)

    def test_a_suite_per_spec_and_a_case_per_check(self) -> None:
        root = ElementTree.fromstring(junit.render(equal()))
        self.assertEqual([suite.attrib["name"] for suite in root], ["mlp", "resnet18", "adam"])
        names = [case.attrib["name"] for case in root[0].iter("testcase")]
        self.assertEqual(names, ["structure float64", "forward float64", "accuracy float32"])

    def test_messages_say_cause_place_and_ratio(self) -> None:
        root = ElementTree.fromstring(junit.render(mixed()))
        failures = {node.attrib["type"]: node.attrib["message"] for node in root.iter("failure")}
        self.assertEqual(failures["float32-equal"], "epsilon is 1.001e-5 (at norm; ratio 2e5)")
        self.assertIn("ratio infinite", failures["different"])
        self.assertEqual([node.attrib["message"] for node in root.iter("error")], ["ValueError: rank 2"])


class Markdown(unittest.TestCase):
    def test_the_first_line_says_verdict_ratio_and_margin(self) -> None:
        first = summary.render(equal()).splitlines()[0]
        self.assertEqual(first, "## ✅ Parity holds: equal, worst ratio 4, margin 1e4")

    @parameterized.expand(CASES)
    def test_rows_have_as_many_columns_as_their_heading(self, case: str, report: Report) -> None:
        for block in re.findall(r"(?:^\|.*\n)+", summary.render(report), re.MULTILINE):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            self.assertEqual(len(widths), 1, block)

    def test_hostile_text_stays_text(self) -> None:
        text = re.sub(r"`[^`\n]*`", "", summary.render(hostile()).replace("\\`", ""))
        self.assertNotIn("<script", text)
        self.assertNotRegex(text, r"(?m)^# ")

    def test_failures_name_place_and_cause(self) -> None:
        text = summary.render(mixed())
        self.assertIn("- ⚠️ `gru` `forward` float64: **float32-equal**, ratio 2e5, at `norm`. epsilon is 1.001e-5", text)


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


class Page(unittest.TestCase):
    @parameterized.expand(CASES)
    def test_nothing_is_fetched_or_run(self, case: str, report: Report) -> None:
        text = page.render(report)
        for tag, attributes in Elements(text).tags:
            self.assertNotIn(tag, {"script", "link", "img", "iframe", "object", "base", "form"})
            self.assertNotIn("src", attributes)
            self.assertFalse([name for name in attributes if name.startswith("on")])
            self.assertTrue((attributes.get("href") or "#").startswith("#"))
        style = text[text.index("<style>") : text.index("</style>")]
        self.assertNotIn("url(", style)
        self.assertNotIn("@import", style)

    @parameterized.expand(CASES)
    def test_every_link_has_one_target(self, case: str, report: Report) -> None:
        tags = Elements(page.render(report)).tags
        ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
        self.assertEqual(len(ids), len(set(ids)))
        links = {attributes["href"] for tag, attributes in tags if tag == "a"}
        self.assertLessEqual(links, {f"#{name}" for name in ids})

    @parameterized.expand(CASES)
    def test_every_cell_has_a_row_and_every_heading_a_scope(self, case: str, report: Report) -> None:
        tags = Elements(page.render(report)).tags
        rows = [tag for tag, attributes in tags if tag == "tr" and (attributes.get("id") or "").startswith("cell-")]
        self.assertEqual(len(rows), len(report.cells))
        self.assertTrue(all(attributes.get("scope") for tag, attributes in tags if tag == "th"))

    def test_hostile_text_stays_text(self) -> None:
        text = page.render(hostile())
        self.assertNotIn("<script", text)
        self.assertNotIn("\x1b", text)
        self.assertIn("{{ 7 * 7 }}", Elements(text).text)

    def test_a_cause_is_told_once_and_its_names_are_code(self) -> None:
        more: dict[str, object] = {
            "verdict": Verdict.DIFFERENT,
            "located": "a",
            "cause": "Keras's `a_b` computes relu, not <i>`c`</i>",
        }
        cells = [cell(check=check, **more) for check in ("forward", "gradients")]
        text = page.render(Report([*cells, cell("gru", **more)]))
        told = "<code>a_b</code> computes relu, not &lt;i&gt;<code>c</code>&lt;/i&gt;</p>"
        self.assertEqual(text.count(told), 2)
        self.assertEqual(text.count('<article class="failure different">'), 2)
        self.assertIn("ratios 1.5, 1.5", text)

    def test_the_legend_explains_each_verdict_and_number(self) -> None:
        text = Elements(page.render(Report([]))).text
        for word in ("float32-equal", "Digits", "Ratio", "Sensitivity", "Margin", "noise floor"):
            self.assertIn(word, text)


class Terminal(unittest.TestCase):
    @parameterized.expand([(f"{name} {width}", report, width) for name, report in CASES for width in (40, 80, 120)])
    def test_no_line_is_wider_than_the_console(self, case: str, report: Report, width: int) -> None:
        text = printed(report, width)
        self.assertLessEqual(max(map(len, text.splitlines())), width)
        self.assertFalse({"\x1b", "\x9b", "\x00", "\u202e"} & set(text))

    @parameterized.expand([(80,), (120,)])
    def test_cells_are_never_cut(self, width: int) -> None:
        checks = ["structure", "forward", "forward_training", "gradients", "training", "round_trip", "file_round_trip"]
        cells = [cell("vision_transformer", check, digits=10 + place) for place, check in enumerate(checks)]
        text = printed(Report([*cells, cell("vision_transformer", "accuracy", "float32", digits=6.0)]), width)
        for digits in ("10.0", "11.0", "12.0", "13.0", "14.0", "15.0", "16.0", "6.0"):
            self.assertIn(f"equal {digits}", text)
        self.assertEqual(text.count("vision_transformer  "), 2 if width == 80 else 1)

    def test_markup_is_shown_as_written(self) -> None:
        self.assertIn("[bold]x[/bold]", printed(hostile(), 120))

    def test_closing_lines(self) -> None:
        text = printed(equal(), 120)
        self.assertIn("Parity holds: equal (5 cells: 5 equal)", text)
        self.assertIn("worst ratio 4 of at most 100: resnet18 forward float64", text)
        meaning = "the mildest planted bug (epsilon_tenth_percent, ratio 4e4) over the worst correct ratio"
        self.assertIn(f"margin 1e4: {meaning}", text)
        self.assertIn("summed over the cells", text)

    def test_failures_name_place_and_cause(self) -> None:
        text = printed(mixed(), 80)
        self.assertIn("float32-equal gru forward float64\n  ratio 2e5, at norm", text)
        self.assertIn("error gan forward float64\n  ValueError: rank 2", text)


class Wording(unittest.TestCase):
    @parameterized.expand(
        [
            (0.0, "0"),
            (0.71, "0.71"),
            (3.3, "3.3"),
            (9.96, "10"),
            (99.4, "99"),
            (99.6, "99.6"),
            (142.0, "142"),
            (999.4, "999"),
            (999.9, "1e3"),
            (12345.0, "1.2e4"),
            (3e13, "3e13"),
            (0.001, "1e-3"),
            (math.inf, "infinite"),
        ]
    )
    def test_number(self, value: float, text: str) -> None:
        self.assertEqual(wording.number(value), text)

    @parameterized.expand(
        [(0.04, "0.04 s"), (12.34, "12.3 s"), (59.99, "1 min 0 s"), (192.0, "3 min 12 s"), (7500.0, "2 h 5 min")]
    )
    def test_duration(self, seconds: float, text: str) -> None:
        self.assertEqual(wording.duration(seconds), text)

    @parameterized.expand(
        [
            ("exact", cell(ratio=0.0, digits=17.0), "exact"),
            ("equal", cell(), "equal 15.3"),
            ("different", cell(verdict=Verdict.DIFFERENT, digits=0.8), "different 0.8"),
            ("error", cell(verdict=Verdict.ERROR, ratio=0.0, digits=17.0), "error"),
            ("no digits", cell(digits=17.0), "equal"),
        ]
    )
    def test_outcome(self, case: str, one: Cell, text: str) -> None:
        self.assertEqual(wording.outcome(one), text)

    def test_margin_is_unknown_until_calibrated(self) -> None:
        self.assertEqual(wording.margin(Report([cell()]))[0], "unknown")
        self.assertEqual(wording.margin(Report([cell(ratio=0.0)], planted=5.0))[0], "unknown")

    def test_the_most_severe_failure_comes_first(self) -> None:
        self.assertEqual([each.spec for each in wording.failing(mixed())], ["gan", "vae", "gru"])


class Matrices(unittest.TestCase):
    def test_columns_come_in_order_of_first_appearance(self) -> None:
        first, second = matrix.matrices(equal())
        self.assertEqual([column.label for column in first.columns], ["structure", "forward", "accuracy float32"])
        self.assertEqual((list(first.rows), list(second.rows)), (["mlp", "resnet18"], ["adam"]))
        self.assertNotIn(first.columns[0], first.rows["resnet18"])

    def test_a_repeated_cell_cannot_hide_a_failure(self) -> None:
        (only,) = matrix.matrices(Report([cell(verdict=Verdict.DIFFERENT), cell()]))
        self.assertEqual([each.verdict for each in only.rows["mlp"].values()], [Verdict.DIFFERENT])
