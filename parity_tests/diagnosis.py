"""`python -m parity_tests.diagnosis [NAME…]`: diagnose every pair of users' models, and count what was said rightly.

`--write` keeps the figures and the table as docs/diagnosis.md. The exit status is 1 where a figure is below its goal.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diglot.core import runner
from diglot.core.errors import DiglotError
from diglot.core.port.roles import SETTINGS
from diglot.core.results import Report
from diglot.core.verdict import Verdict
from rich.console import Console
from rich.progress import track
from rich.table import Table

import diglot

from .ported import Pair, catalogue
from .ported.weights import randomise

PAGE = Path(__file__).parent.parent / "docs" / "diagnosis.md"
GOALS = {"caught": 1.0, "right layer": 0.95, "right cause": 0.8}
FIRST = {"forward": ("weights", "forward"), "gradients": ("weights", "forward", "gradients")}
WORDS = {word for words in SETTINGS.values() for word in words}
# What a cause says of anything: where it was seen, and that it is not known better.
VAGUE = (
    r"\((given the same|what reaches|the output).*\)|what other operations made of it|"
    r"one is missing on one side, or layers are swapped|though every layer before agrees"
)
WIDE = 200  # columns of the table where the output is a file


@dataclass(frozen=True)
class Diagnosis:
    """What was said of a pair. `names` are those of the place that was blamed, on both sides.

    `refused` is the sentence by which a comparison was refused; `failed` what went wrong where it was not meant to.
    """

    pair: Pair
    passed: bool
    check: str = ""
    located: str = ""
    names: tuple[str, ...] = ()
    cause: str = ""
    refused: str = ""
    failed: str = ""
    seconds: float = 0.0

    @property
    def caught(self) -> bool:
        """Whether a mistake was seen."""
        return not self.passed and not self.failed

    @property
    def right_layer(self) -> bool:
        """Whether one of the places that may be blamed was blamed."""
        return self.caught and any(fnmatch.fnmatchcase(name, one) for name in self.names for one in self.pair.layers)

    @property
    def right_cause(self) -> bool:
        """Whether the cause holds a word that it must, other than in a layer's name, unless the word is one itself."""
        told = f"{self.cause} {self.refused}".lower()
        plain = re.sub(VAGUE, "", re.sub(r"`([^`]*)`", lambda named: named[1] if named[1] in WORDS else "", told))
        return self.caught and any(word.lower() in (told if "`" in word else plain) for word in self.pair.cause)

    @property
    def right(self) -> bool:
        """Whether everything that was said is right."""
        return self.passed if self.pair.correct else self.right_layer and self.right_cause

    @property
    def verdict(self) -> str:
        """Whether it is right, and if not, why."""
        if self.right:
            return "yes"
        if self.failed:
            return "no: it failed"
        if self.pair.correct:
            return "no: a false alarm"
        if not self.caught:
            return "no: not caught"
        wrong = [word for word, right in (("layer", self.right_layer), ("cause", self.right_cause)) if not right]
        return f"no: another {' and '.join(wrong)}"


def diagnose(pair: Pair) -> Diagnosis:
    """Load the models as the pair's user does, compare them, and take the first check that fails.

    A mistake has to fail at the check at which it shows first: those behind that one are not made.
    """
    started = time.perf_counter()
    try:
        report = compared(pair, None if pair.correct else FIRST.get(pair.seen))
    except DiglotError as error:
        words = tuple(re.findall(r"[\w.:/#]*\w", str(error)))
        words += tuple(word[: match.start()] for word in words for match in re.finditer(r"[./]", word))
        return Diagnosis(pair, False, "refused", "", words, refused=str(error), seconds=time.perf_counter() - started)
    except Exception as error:  # one pair must not cost the others
        return Diagnosis(pair, False, failed=f"{type(error).__name__}: {error}", seconds=time.perf_counter() - started)
    wrong = next((cell for cell in report.cells if cell.verdict is not Verdict.EQUAL), None)
    seconds = time.perf_counter() - started
    if wrong is None:
        return Diagnosis(pair, report.passed, seconds=seconds)
    located = wrong.located or ""
    names = {located: None}
    for finding in report.findings:
        if finding.located and located in (finding.torch, finding.keras):
            names |= {finding.torch: None, finding.keras: None}
    return Diagnosis(pair, False, wrong.check, located, tuple(names), wrong.cause or "", seconds=seconds)


def compared(pair: Pair, checks: tuple[str, ...] | None = None) -> Report:
    """The report on a pair, of all checks or of these."""
    keras_inputs, torch_inputs = pair.drawn()
    options: dict[str, Any] = {"checks": checks, **pair.options}
    if pair.torch_inputs is not None:
        options["torch_inputs"] = torch_inputs
    if pair.by == "factories":

        def source() -> Any:
            model = pair.torch()
            randomise(model)
            return model

        return diglot.compare(source, pair.keras, keras_inputs, **options)
    source_model, target_model = pair.built()
    if pair.by == "transfer":
        known = {name: options[name] for name in ("map", "ignore") if name in options}
        diglot.transfer(source_model, target_model, inputs=keras_inputs, **known)
    else:
        pair.load(source_model, target_model)
    return diglot.compare(source_model, target_model, keras_inputs, **options)


def figures(found: Sequence[Diagnosis]) -> dict[str, tuple[int, int]]:
    """How many of how many: false alarms among correct ports; caught, layer and cause among those with a mistake."""
    correct = [one for one in found if one.pair.correct]
    wrong = [one for one in found if not one.pair.correct]
    return {
        "false alarms": (sum(not one.passed for one in correct), len(correct)),
        "caught": (sum(one.caught for one in wrong), len(wrong)),
        "right layer": (sum(one.right_layer for one in wrong), len(wrong)),
        "right cause": (sum(one.right_cause for one in wrong), len(wrong)),
    }


def short_of(counts: dict[str, tuple[int, int]]) -> list[str]:
    """The figures that are below their goals."""
    below = [name for name, goal in GOALS.items() if counts[name][0] < goal * counts[name][1]]
    return (["false alarms"] if counts["false alarms"][0] else []) + below


def sentences(counts: dict[str, tuple[int, int]]) -> list[str]:
    """One line for each figure, with its goal."""
    lines = [f"false alarms: {counts['false alarms'][0]} of {counts['false alarms'][1]} correct ports (goal: 0)"]
    for name, goal in GOALS.items():
        some, all_ = counts[name]
        lines.append(f"{name}: {some} of {all_}, {some / max(all_, 1):.1%} (goal: {goal:.0%})")
    return lines


def columns(one: Diagnosis) -> tuple[str, ...]:
    """One row of the table."""
    pair = one.pair
    said = one.failed or one.refused or one.cause
    return pair.name, pair.by, pair.layers[0] if pair.layers else "", one.check, one.located, said, one.verdict


HEADINGS = ("pair", "weights by", "mistake in", "check", "blamed", "cause given", "right")


def table(found: Sequence[Diagnosis]) -> Table:
    """One row for each pair."""
    result = Table(title="Users' models", expand=False)
    for heading in HEADINGS:
        result.add_column(heading, overflow="fold", max_width=70 if heading == "cause given" else None)
    for one in found:
        result.add_row(*(value.replace("[", r"\[") for value in columns(one)), style=None if one.right else "red")
    return result


def page(found: Sequence[Diagnosis]) -> str:
    """The figures and the table in Markdown."""
    used = ", ".join(f"{name} {version}" for name, version in runner.versions().items())
    lines = [
        "# How good the diagnosis is", "",
        f"Written by `python -m parity_tests.diagnosis --write` on {used}.", "",
        "The pairs are in `parity_tests/ported/`: models as users write them, other than Diglot's own, each ported by",
        "hand; correct ports, and the same ports with one mistake each. A place is right if it is the layer or the",
        "operation with the mistake, by its name on either side; a cause is right if it names what was changed. The",
        "tool was improved while these pairs were tried, so the figures are of pairs that its authors know.", "",
        *(f"- {line}" for line in sentences(figures(found))), "",
        "| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS),
    ]  # fmt: skip
    for one in found:
        cells = (value.replace("|", r"\|").replace("\n", " ") for value in columns(one))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Diagnose the pairs, print what was said of each, and give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.diagnosis", description=__doc__)
    parser.add_argument("names", nargs="*", help="pairs whose names begin so; all without")
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    request = parser.parse_args()
    chosen = [pair for pair in catalogue() if pair.name.startswith(tuple(request.names) or ("",))]
    if not chosen:
        parser.error(f"no pair is called {' or '.join(request.names)}")
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    found = [diagnose(pair) for pair in track(chosen, "pairs", console=console, transient=True)]
    console.print(table(found))
    counts = figures(found)
    for line in sentences(counts):
        console.print(line, highlight=False)
    console.print(f"{sum(one.seconds for one in found) / len(found):.1f} s for each pair", highlight=False)
    if request.write:
        PAGE.write_text(page(found))
    return 1 if short_of(counts) else 0


if __name__ == "__main__":
    sys.exit(main())
