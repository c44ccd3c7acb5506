"""The one place that decides, and the only file that holds a bound. docs/calibration.md says how they were measured."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

BOUND = 100.0
"""The largest ratio of a difference to its noise floor that two correct implementations may show."""

DOUBT = (BOUND / 10, BOUND * 100)
"""Between these, a floor rests on more movements: where all rounding leads one way, one may be small by luck."""

ACCURACY_BOUND = 16.0
"""How many times less accurate than its sibling a side may be in float32."""

PARTED = 3.0
"""With fewer digits in common, two training runs are said to have parted. No verdict rests on it."""

IDENTIFIED = {"float64": 8.0, "float32": 5.0}
"""With so many digits in common, an output is taken for that of a formula. No verdict rests on it.

Where a framework holds a constant of it in float32, nine are left; two formulas that differ seldom share more than six.
"""


class Verdict(StrEnum):
    """What a check found. `error` means that it could not be run."""

    EQUAL = "equal"
    FLOAT32_EQUAL = "float32-equal"
    DIFFERENT = "different"
    ERROR = "error"


SEVERITY = tuple(Verdict)


def of_ratio(ratio: float, wide_ratio: float | None) -> Verdict:
    """The verdict on one tensor, from its ratio to the float64 floor and, beyond the bound, to the float32 floor.

    A ratio that is not a number is a difference.
    """
    if ratio <= BOUND:
        return Verdict.EQUAL
    if wide_ratio is not None and wide_ratio <= 1.0:
        return Verdict.FLOAT32_EQUAL
    return Verdict.DIFFERENT


def of_accuracy(ratio: float) -> Verdict:
    """The verdict on two float32 errors, from the larger over the smaller."""
    return Verdict.EQUAL if ratio <= ACCURACY_BOUND else Verdict.DIFFERENT


def is_doubtful(ratio: float) -> bool:
    """Whether the floor of a ratio should rest on more movements before it decides."""
    return DOUBT[0] < ratio < DOUBT[1]


def is_seen(movement: float) -> bool:
    """Whether an output that moved by so many noise floors was seen to move."""
    return movement > BOUND


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The most severe one; `different` where there was nothing to judge, since nothing could have failed."""
    return max(verdicts, key=SEVERITY.index, default=Verdict.DIFFERENT)
