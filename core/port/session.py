"""The checks of one comparison of a user's two models, one after another."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import compare as comparing
from .. import verdict
from ..compare import Comparison
from ..errors import DiglotError
from ..results import Cell
from ..technique import Arrays
from ..verdict import Verdict
from . import dropping, reaching, sensitivity
from .broken import broken
from .carrying import canonical
from .contents import Content, Found, contents
from .findings import Fault
from .fingerprint import is_constant
from .locating import Search
from .mapping import Match
from .porting import Porting

KIND = "pair of models"
KEPT = (Content.SAME, Content.ROUNDED, Content.REORDERED, Content.ELSEWHERE)
SAID = {
    Content.REORDERED: "the same numbers in another order",
    Content.ELSEWHERE: "the numbers of another weight",
    Content.CONSTANT: "one number throughout on one side, as of a weight that was never loaded",
    Content.DIFFERENT: "different numbers",
}
UNLOADED = (
    "not one weight holds the same numbers: were they loaded? diglot.transfer copies them, and without the check "
    "`weights` the models alone are compared; "
)
SHOWN = 3


def advice(porting: Porting) -> str:
    """What lets outputs move that stood still."""
    if all(np.all(array == array.flat[0]) for array in porting.given.batch().values()):
        return "the inputs are one number throughout; give inputs that vary"
    if not any(array.dtype.kind == "f" for array in porting.traces["torch"].outputs.values()):
        return "the outputs are whole numbers; let both models give the numbers by which they are chosen"
    return "give inputs that vary, and weights that let them through"


def _is_constant(match: Match, arrays: Arrays) -> bool:
    return is_constant(canonical(match, arrays, "torch"))


def _comes_of(item: Found) -> bool:
    """Whether a weight's numbers were seen to come of the other side's, if not to be the same."""
    return item.content is Content.DIFFERENT and bool(item.note)


class Session:
    """The checks of one comparison, one after another."""

    def __init__(self, porting: Porting, label: str, notes: list[str], *, made: bool) -> None:
        self.porting, self.label, self.notes, self.made = porting, label, notes, made
        self.cells: list[Cell] = []
        self.findings: tuple[Any, ...] = ()
        self.search = Search(porting, [])
        self.fault: Fault | None = None

    def weights(self, held: Mapping[str, Arrays], wanted: bool) -> None:
        """Whether the models hold the same numbers as they stand."""
        started = time.perf_counter()
        chart = self.porting.mapping
        halves = [one.half for one in self.porting.subjects.values() if one.half]
        found = contents(chart, held["torch"], held["keras"], halves)
        telling = {match.name for match in chart.matches if not _is_constant(match, held["torch"])}
        alike = any(item.name in telling and item.content in KEPT for item in found)
        if self.made and not alike:
            self.notes.append(
                "the models were made anew and hold different numbers, so PyTorch's were given to both; give instances "
                "where their weights are to be compared (a factory's draws are others in float64 than in float32)"
            )
            return
        wrong = [item for item in found if item.content not in (Content.SAME, Content.ROUNDED)]
        if wrong:
            self.notes.append("the other checks are of copies, in which Keras's model has PyTorch's weights")
        if not wanted:
            return
        first = next(match for match in chart.matches if match.name == wrong[0].name) if wrong else None
        self._add(
            "weights",
            started,
            Verdict.DIFFERENT if wrong else Verdict.EQUAL,
            ratio=float("inf") if wrong else 0.0,
            digits=0.0 if wrong else 17.0,
            worst=wrong[0].name if wrong else "",
            tensors=len(found),
            located=(first.layers[0] or first.layers[1] or None) if first else None,
            cause=(UNLOADED if not alike and not any(map(_comes_of, wrong)) else "") + self._listed(wrong)
            if wrong
            else None,
        )

    def _listed(self, wrong: Sequence[Found]) -> str:
        """What is wrong with the first weights, and once what is wrong with many."""
        note, count = next(iter(Counter(item.note for item in wrong if _comes_of(item)).most_common(1)), ("", 0))
        parts = []
        if count > SHOWN:
            parts = [f"in {'all ' if count == len(wrong) else ''}{count} weights that differ, {note}"]
            wrong = [item for item in wrong if item.note != note]
        parts += [self._told(item) for item in wrong[:SHOWN]]
        return "; ".join(parts) + (f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else "")

    def _told(self, item: Found) -> str:
        match = next(match for match in self.porting.mapping.matches if match.name == item.name)
        names = [" + ".join(piece.tensor for piece in pieces) for pieces in (match.torch, match.keras)]
        return f"`{names[0]}` and Keras's `{names[1]}`: {item.note or SAID[item.content]}"

    def _add(self, check: str, started: float, state: Verdict, **fields: Any) -> None:
        seconds = time.perf_counter() - started
        precision = self.porting.precision
        self.cells.append(Cell(self.label, KIND, check, precision, state, seconds=seconds, **fields))

    def checks(self, chosen: Sequence[str], steps: int) -> None:
        """Outputs, gradients and training, on one state."""
        porting = self.porting
        if found := broken(porting):
            name, self.fault = found
            for check in [check for check in chosen if check != "weights"]:
                told = {"located": self.fault.located, "cause": self.fault.cause, "worst": name, "tensors": 0}
                self._add(check, time.perf_counter(), Verdict.DIFFERENT, ratio=float("inf"), digits=0.0, **told)
            return
        dropping.even_out(porting, self.notes if "training" in chosen else [])
        taps = porting.measure(porting.forward(), [porting.given.batch()])
        self.search = Search(porting, taps)
        if "forward" in chosen:
            self.forward(taps)
        if "gradients" in chosen:
            self.attempt("gradients", self.gradients)
        if "training" in chosen:
            self.attempt("training", lambda: self.training(steps))
        wrong = self.fault is not None
        self.findings = self.search.findings(self.fault, training=wrong and self.cells[-1].check == "training")

    def forward(self, taps: list[Comparison]) -> None:
        """The outputs, in evaluation mode."""
        started = time.perf_counter()
        found = [item for item in taps if item.name.startswith("output ")]
        moved = sensitivity.moved(self.porting, found)
        if moved is None:
            self.notes.append(
                "whether the outputs depend on the inputs was not seen: the model takes no changed inputs"
            )
        elif not verdict.is_seen(moved) and all(item.verdict is Verdict.EQUAL for item in found):
            text = (
                f"does not move when the inputs' numbers change places ({moved:.2g} noise floors at most), so that a "
                f"difference could not have been seen: {advice(self.porting)}"
            )
            found = [comparing.failed(item.name, text) for item in found]
        self.judge("forward", started, found, self.search.forward)
        self.cells[-1] = replace(self.cells[-1], sensitivity=moved)
        if self.cells[-1].verdict is Verdict.EQUAL:
            self.notes += reaching.idle(self.porting)
            if fault := reaching.unreached(self.search):
                self.blame(fault)

    def attempt(self, check: str, run: Callable[[], None]) -> None:
        """A check that a model may not take, as one without gradients; the others still count."""
        started = time.perf_counter()
        if not any(self.porting.layouts.get(f"output {output.name}") for output in self.porting.outputs):
            self.judge(check, started, [], lambda: None)
            return
        try:
            run()
        except DiglotError as error:
            self._add(check, started, Verdict.ERROR, ratio=float("inf"), digits=0.0, cause=str(error))

    def gradients(self) -> None:
        """The gradient of every matched weight and of every float input, in evaluation mode."""
        started = time.perf_counter()
        porting = self.porting
        found = porting.measure(porting.gradients(), [porting.given.batch()])
        wrong = [item for item in found if item.verdict is not Verdict.EQUAL]
        self.judge("gradients", started, found, lambda: self.search.forward() or self.search.backward(wrong))

    def training(self, steps: int) -> None:
        """Some steps of plain gradient descent in training mode: the losses, and every weight and buffer after them."""
        started = time.perf_counter()
        porting = self.porting
        batches = [porting.given.batch()] * steps
        still = dropping.held_still(porting, self.notes)
        job = porting.training(steps, porting.rate(porting.run("torch", porting.gradients(), batches[:1])), still)
        found = porting.measure(job, batches)
        self.judge(
            "training",
            started,
            found,
            lambda: self.search.forward() or self.search.anywhere(training=True) or dropping.carried_on(porting),
        )
        for fault in filter(None, (dropping.held_fast(porting), dropping.difference(porting))):
            self.blame(fault)
        self.notes += dropping.aside(porting)

    def blame(self, fault: Fault) -> None:
        """Lay a fault, which the numbers of the last cell do not show, beside what they do show."""
        cell = self.cells[-1]
        told = cell.cause if cell.located else None
        cause = f"{told}; and beside it {fault.cause}" if told else fault.cause
        located = cell.located or fault.located
        self.cells[-1] = replace(cell, verdict=Verdict.DIFFERENT, located=located, cause=cause)
        self.fault = self.fault or fault

    def judge(self, check: str, started: float, found: list[Comparison], search: Any) -> None:
        """The cell of a check, with the place at fault where there is one."""
        worst = comparing.worst(found)
        state = verdict.worst(item.verdict for item in found)
        located, cause = None, None
        if state is not Verdict.EQUAL:
            fault = search()
            self.fault = self.fault or fault
            located, cause = (fault.located, fault.cause) if fault else (None, _size(worst))
        self._add(
            check,
            started,
            state,
            ratio=worst.ratio if worst else float("inf"),
            digits=min((item.digits for item in found), default=0.0),
            worst=worst.name if worst else "",
            tensors=len(found),
            located=located,
            cause=cause,
        )


def _size(worst: Comparison | None) -> str:
    if worst is None:
        return "nothing was compared, so nothing could have failed"
    return f"{worst.name} {worst.complaint or f'differs by {worst.difference:.1e}, {worst.ratio:.1e} noise floors'}"
