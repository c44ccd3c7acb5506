"""Samples of sequences of tokens, as they come into batches of unequal lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Whole = NDArray[np.int64]


def lengths_of(label: str, samples: Any, known: Any = None) -> Whole:
    """The length of each sequence of each sample, (samples, sequences). Raises InputError as `checked` does."""
    if not (hasattr(samples, "__len__") and hasattr(samples, "__getitem__")):
        raise InputError(f"{label}: samples need a length and an index, and {type(samples).__name__} lacks them")
    found = [_lengths(label, index, samples[index]) for index in range(len(samples))] if known is None else known
    lengths = checked(label, found)
    if len(lengths) != len(samples):
        raise InputError(f"{label}: there are lengths of {len(lengths)} samples, and {len(samples)} samples")
    return lengths


def _lengths(label: str, index: int, sample: Any) -> list[int]:
    if not isinstance(sample, tuple | list) or not all(hasattr(item, "__len__") for item in sample):
        raise InputError(f"{label}: sample {index} must be a tuple of sequences of tokens, not {sample!r:.60}")
    return [len(item) for item in sample]


def checked(label: str, lengths: Any) -> Whole:
    """Lengths as an array, (samples, sequences). Raises InputError for none at all, and for an empty sequence."""
    if not len(lengths):
        raise InputError(f"{label}: there are no samples to make batches of")
    try:
        array = np.asarray(lengths)
    except ValueError:
        raise InputError(f"{label}: every sample must have the same number of sequences") from None
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.shape[1] or array.dtype.kind not in "iu":
        given = f"{array.dtype} {array.shape}"
        raise InputError(f"{label}: lengths are whole numbers, (samples, sequences), not {given}")
    for index in np.flatnonzero(array.min(axis=1) < 1):
        advice = "leave the sample out, or end every sequence with a token"
        raise InputError(f"{label}: a sequence of sample {index} is empty; {advice}")
    return array.astype(np.int64)


def columns(label: str, samples: Iterable[Any]) -> list[list[Whole]]:
    """The samples of one batch as lists of their first sequences, of their second ones, and so on."""
    rows = list(samples)
    if len({len(row) for row in rows}) != 1:
        raise InputError(f"{label}: every sample must have the same number of sequences")
    return [[_tokens(label, sequence) for sequence in column] for column in zip(*rows, strict=True)]


def _tokens(label: str, sequence: Any) -> Whole:
    array = np.asarray(sequence)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        given = f"{array.dtype} {array.shape}"
        raise InputError(f"{label}: a sequence holds whole numbers along one axis, not {given}")
    return array.astype(np.int64)


def padded(column: list[Whole], width: int, value: int) -> Whole:
    """Sequences as the rows of one array, (batch, time), with a number behind each."""
    array = np.full((len(column), width), value, np.int64)
    for row, sequence in zip(array, column, strict=True):
        row[: len(sequence)] = sequence
    return array


def inputs_and_target(sequences: Sequence[Any]) -> Any:
    """What a training loop takes: the last sequence is the target, and the others are the inputs; one stays alone."""
    *inputs, target = sequences
    if not inputs:
        return target
    return (inputs[0] if len(inputs) == 1 else tuple(inputs)), target


def cuts(lengths: list[int], together: Callable[[int, int, int], bool]) -> list[int]:
    """Where one batch ends and the next begins, for lengths in order: as late as `together` allows.

    `together` is asked with a number of samples, the shortest length among them and the longest.
    """
    found: list[int] = []
    start, short, long = 0, lengths[0], lengths[0]
    for index, length in enumerate(lengths):
        short, long = min(short, length), max(long, length)
        if index > start and not together(index - start + 1, short, long):
            found.append(index)
            start, short, long = index, length, length
    return found


def led(batches: list[Whole], shapes: Whole) -> list[Whole]:
    """The batches, with two in front that differ in every column of `shapes` that varies at all.

    Keras takes from the first two batches which axes vary. Of two columns there always are such batches.
    """
    varying = (shapes != shapes[0]).any(axis=0)
    for first in range(len(batches) if varying.any() else 0):
        others = np.flatnonzero((shapes != shapes[first])[:, varying].all(axis=1))
        if others.size:
            pair = (first, int(others[0]))
            rest = [batch for index, batch in enumerate(batches) if index not in pair]
            return [*(batches[index] for index in pair), *rest]
    return batches
