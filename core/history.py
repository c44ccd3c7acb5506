"""What a training came to, step by step and epoch by epoch: numbers only, the same for both sides."""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checkpoint import replacing
from .errors import CheckpointError, InputError

VERSION = 1
STATISTICS = ("mean", "std", "norm", "zeros", "update")  # of a weight's gradient: core/techniques/gradient_flow.py
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Series = tuple[NDArray[np.int64], NDArray[np.float64]]
Listener = Callable[[str, int, float], None]


@dataclass(frozen=True)
class Flow:
    """The gradients of one step: a row of STATISTICS for each weight, in order of depth."""

    step: int
    names: tuple[str, ...]
    values: NDArray[np.float64]


@dataclass
class History:
    """The numbers of one training.

    Steps and epochs are counted from 0 and only go up. A quantity need not have a number at every step: its series
    holds the steps that have one. Usual names are, by step, `loss`, `learning_rate`, `loss_scale` and `gradient_norm`;
    by epoch, `loss` and `val_loss`, and each metric in the same two ways. NaN and infinities are kept. Each
    listener is told the tag, the step and the value of whatever is noted; a TensorBoard writer is one.

    Raises InputError for a step that does not go up, for what is no number, and for a flow of another shape.
    """

    steps: dict[str, dict[int, float]] = field(default_factory=dict)
    epochs: dict[str, dict[int, float]] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)
    dead: dict[str, dict[int, float]] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list, repr=False, compare=False)

    def note_step(self, step: int, **values: Any) -> None:
        """The quantities of one optimizer step."""
        self._tell("step", step, _note(self.steps, "step", step, values))

    def note_epoch(self, epoch: int, **values: Any) -> None:
        """The quantities of one epoch."""
        self._tell("epoch", epoch, _note(self.epochs, "epoch", epoch, values))

    def note_flow(self, step: int, names: Sequence[str], array: Any) -> None:
        """The gradients of one step, (weights, statistics) with the columns of STATISTICS."""
        step, values = _count("step", step), np.array(array, np.float64)
        if values.shape != (len(names), len(STATISTICS)):
            raise InputError(
                f"the flow at step {step} has the shape {values.shape}; with {len(names)} weights it needs "
                f"({len(names)}, {len(STATISTICS)}), one column for each of {', '.join(STATISTICS)}"
            )
        if self.flows and step <= self.flows[-1].step:
            raise InputError(f"the flow at step {step} comes after step {self.flows[-1].step}; steps only go up")
        self.flows.append(Flow(step, tuple(map(str, names)), values))
        for name, row in zip(self.flows[-1].names, values, strict=True):
            tagged = {f"{statistic}/{name}": float(value) for statistic, value in zip(STATISTICS, row, strict=True)}
            self._tell("flow", step, tagged)

    def note_dead(self, step: int, shares: Mapping[str, float]) -> None:
        """The share of dead units of each layer at one step: what `watch` of core/techniques/dead_units.py gives."""
        self._tell("dead", step, _note(self.dead, "step", step, shares))

    def _tell(self, group: str, at: int, values: Mapping[str, float]) -> None:
        for listener in self.listeners:
            for name, value in values.items():
                listener(f"{group}/{name}", at, value)

    def series(self, name: str, per: str = "step") -> Series:
        """Where a quantity has numbers, and the numbers. Both are empty for a quantity that has none."""
        found = {"step": self.steps, "epoch": self.epochs, "dead": self.dead}[per].get(name, {})
        return np.array(list(found), np.int64), np.array(list(found.values()), np.float64)

    def flow(self, weight: str, statistic: str) -> Series:
        """One statistic of one weight's gradient over the steps."""
        column, found = STATISTICS.index(statistic), [one for one in self.flows if weight in one.names]
        values = [one.values[one.names.index(weight), column] for one in found]
        return np.array([one.step for one in found], np.int64), np.array(values, np.float64)

    def weights(self) -> tuple[str, ...]:
        """Every weight that a flow was noted of, as ordered in the first flow that has it."""
        return tuple(dict.fromkeys(name for one in self.flows for name in one.names))

    def tags(self) -> Iterator[tuple[str, Series]]:
        """Every series with the tag under which both TensorBoard writers put it: `step/NAME`, `epoch/NAME`,
        `flow/STATISTIC/WEIGHT` and `dead/LAYER`."""
        for name in self.steps:
            yield f"step/{name}", self.series(name)
        for name in self.epochs:
            yield f"epoch/{name}", self.series(name, "epoch")
        for weight in self.weights():
            for statistic in STATISTICS:
                yield f"flow/{statistic}/{weight}", self.flow(weight, statistic)

        for layer in self.dead:
            yield f"dead/{layer}", self.series(layer, "dead")

    def until(self, step: int, epoch: int) -> History:
        """What lies before this step and this epoch: where a training goes on from a checkpoint."""
        return History(
            _before(self.steps, step),
            _before(self.epochs, epoch),
            [one for one in self.flows if one.step < step],
            _before(self.dead, step),
            self.listeners,
        )

    def as_json(self) -> dict[str, Any]:
        """The history in what JSON can hold; NaN and the infinities are the words of NOT_FINITE."""
        return {
            "format": VERSION,
            "steps": _listed(self.steps),
            "epochs": _listed(self.epochs),
            "dead": _listed(self.dead),
            "statistics": list(STATISTICS),
            "flows": [
                {"step": one.step, "weights": list(one.names), "values": [[*map(_written, row)] for row in one.values]}
                for one in self.flows
            ],
        }

    @classmethod
    def from_json(cls, held: Any) -> History:
        """The history that `as_json` was made of.

        Raises KeyError, TypeError, ValueError or AttributeError for anything else.
        """
        if held["format"] != VERSION or held["statistics"] != list(STATISTICS):
            raise ValueError("another format")
        history = cls()
        kept = (("steps", history.steps, "step"), ("epochs", history.epochs, "epoch"), ("dead", history.dead, "step"))
        for key, series, per in kept:
            for name, (at, values) in held[key].items():
                for place, value in zip(at, values, strict=True):
                    _note(series, per, place, {name: _read(value)})
        for one in held["flows"]:
            rows = [[_read(value) for value in row] for row in one["values"]]
            history.note_flow(one["step"], one["weights"], np.reshape(rows, (-1, len(STATISTICS))))
        return history

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history as JSON, complete or not at all; every float64 is read back as the same one.

        Raises CheckpointError where it cannot be written.
        """
        with replacing(path) as file:
            file.write(json.dumps(self.as_json(), allow_nan=False).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Raises CheckpointError for a file that cannot be read or that holds no history."""
        try:
            return cls.from_json(json.loads(Path(path).read_bytes()))
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}; give the file of a history") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{path} holds no history of this version; give a file that History.save wrote"
            ) from error


def _before(held: dict[str, dict[int, float]], end: int) -> dict[str, dict[int, float]]:
    return {name: {at: value for at, value in kept.items() if at < end} for name, kept in held.items()}


def _listed(held: dict[str, dict[int, float]]) -> dict[str, Any]:
    return {name: [list(kept), [*map(_written, kept.values())]] for name, kept in held.items()}


def _note(held: dict[str, dict[int, float]], per: str, at: int, values: Mapping[str, Any]) -> dict[str, float]:
    at = _count(per, at)
    numbers = {name: _number(name, per, at, value) for name, value in values.items()}
    for name in numbers:
        last = next(reversed(held.get(name, {})), -1)
        if at <= last:
            raise InputError(
                f"{name} of {per} {at} comes after that of {per} {last}; each {per} is noted once, in order"
            )
    for name, number in numbers.items():
        held.setdefault(name, {})[at] = number
    return numbers


def _count(per: str, at: Any) -> int:
    try:
        counted = operator.index(at)
    except TypeError:
        counted = -1
    if counted < 0 or isinstance(at, bool):
        raise InputError(f"a {per} is a whole number, at least 0, not {at!r}")
    return counted


def _number(name: str, per: str, at: int, value: Any) -> float:
    try:
        array = np.asarray(value)
        if array.shape != () or array.dtype.kind not in "fiub":
            raise ValueError
        return float(array)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} of {per} {at} must be one number, not {value!r}") from error


def _written(value: float) -> float | str:
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _read(value: Any) -> float:
    if isinstance(value, str):
        return NOT_FINITE[value]
    if isinstance(value, bool):
        raise ValueError("a number that is none")
    return float(value)
