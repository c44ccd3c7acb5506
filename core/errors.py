"""Every error that a user can cause: one sentence that says what was wrong, where, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

LONGEST = 2000  # characters of a sentence
ADVICE = "lower the learning rate or clip the gradients, and look at this batch"


class DiglotError(Exception):
    """A request that cannot be met. The command line prints it as one sentence and exits with status 2."""

    def __str__(self) -> str:
        # A path, or a name out of a file, may hold line breaks, what a terminal obeys, or no end.
        text = " ".join(super().__str__().splitlines())
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
        if len(text) > LONGEST:
            text = re.sub(r"\S{400,}", lambda word: f"{word[0][:150]}…{word[0][-150:]}", text)
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 500]} … {text[-450:]}"


class SpecError(DiglotError, ValueError):
    """A spec's name, field or value is not valid."""


class StateError(DiglotError, ValueError):
    """A state does not fit its spec, weight for weight. `weights` names those of the spec that are concerned."""

    def __init__(self, message: str, weights: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.weights = weights


class InputError(SpecError):
    """What is given to a network cannot be used."""


class CheckpointError(DiglotError, ValueError):
    """A checkpoint file cannot be read or written."""


class ReportError(DiglotError, ValueError):
    """A report folder cannot be used, or does not belong to this run."""


class TrainingError(DiglotError, ArithmeticError):
    """A training that cannot go on: its loss or its gradients are not finite."""


class MissingFrameworkError(DiglotError, ImportError):
    """A side was asked for whose framework is not installed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint, `; did you mean 'a' or 'b'?`, or the empty string where nothing is near."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(repr(match) for match in close)}?" if close else ""
