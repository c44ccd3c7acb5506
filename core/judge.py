"""An outcome becomes a cell: the verdict, and where it is not `equal`, the part at fault."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from . import compare, verdict
from .checks import Outcome
from .errors import DiglotError, StateError
from .learning import LearningSpec
from .locate import Fault, locate, of_weights
from .locate_decoding import locate as locate_decoding
from .locate_learning import locate as locate_learning
from .pair import Pair
from .plan import Task
from .results import Cell
from .verdict import Verdict

REPLAYED = ("forward", "forward_training", "gradients", "training", "generation")


def failed(task: Task, error: BaseException) -> Cell:
    """The cell of a check that could not be run."""
    what = str(error) if isinstance(error, DiglotError) else f"{type(error).__name__}: {error}{_raised_at(error)}"
    located = of_weights(error.weights) if isinstance(error, StateError) else None
    return Cell(
        task.label,
        task.spec.kind,
        task.check,
        task.dtype,
        Verdict.ERROR,
        float("inf"),
        0.0,
        located=located,
        cause=what,
    )


def _raised_at(error: BaseException) -> str:
    """The innermost file and line of an error, for who has to mend it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def judge(task: Task, outcome: Outcome, pair: Pair | None) -> Cell:
    """The cell of an outcome, with the part at fault where there is one."""
    worst = compare.worst(outcome.comparisons)
    only_complaints = outcome.complaints and (worst is None or worst.verdict is Verdict.EQUAL)
    verdicts = [item.verdict for item in outcome.comparisons] + [Verdict.DIFFERENT for _ in outcome.complaints]
    found = verdict.worst(verdicts)
    located, cause = None, None
    if found is not Verdict.EQUAL:
        located, cause = _blame(task, outcome, pair)
    return Cell(
        spec=task.label,
        kind=task.spec.kind,
        check=task.check,
        dtype=task.dtype,
        verdict=found,
        ratio=worst.ratio if worst and not only_complaints else float("inf"),
        digits=min((item.digits for item in outcome.comparisons), default=0.0),
        worst=worst.name if worst else "",
        tensors=len(outcome.comparisons),
        sensitivity=outcome.sensitivity,
        located=located,
        cause=cause,
    )


def _blame(task: Task, outcome: Outcome, pair: Pair | None) -> tuple[str | None, str]:
    worst = compare.worst(outcome.comparisons)
    if outcome.complaints and (task.check not in REPLAYED or worst is None or worst.verdict is Verdict.EQUAL):
        return outcome.complaints[0]
    if worst is None:
        return None, "nothing was compared, so nothing could have failed"
    size = worst.complaint or f"differs by {worst.difference:.1e}, {worst.ratio:.1e} noise floors"
    if worst.verdict is Verdict.FLOAT32_EQUAL:
        size += "; no float32 run could show it"
    if pair is not None and task.check in REPLAYED:
        fault = _search(task)(pair)
        if fault is not None:
            return fault.part, fault.cause
        return None, f"{worst.name} {size}; every part agrees in isolation, so it is the step and not the network"
    return (task.spec.name if pair is None else None), f"{_departing(outcome)}{worst.name}: {size}"


def _search(task: Task) -> Callable[[Pair], Fault | None]:
    """How the fault of a check is looked for."""
    if task.check == "generation":
        return locate_decoding
    return locate_learning if task.check == "training" and isinstance(task.spec, LearningSpec) else locate


def _departing(outcome: Outcome) -> str:
    """Which side departs from a technique's rule, where that can be told."""
    wrong = [item.name for item in outcome.comparisons if item.verdict is not Verdict.EQUAL]
    sides = [name for name in ("PyTorch", "Keras") if any(f"(the rule and {name})" in item for item in wrong)]
    return f"{' and '.join(sides)} departs from the rule; " if len(sides) == 1 else ""
