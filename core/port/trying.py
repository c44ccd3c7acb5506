"""Settings that differ between two steps, each tried on the other side until the two agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DiglotError
from .evidence import Agreeing, Cause, Replayed, labels, told
from .layer import BLOCK, CUSTOM, Step
from .roles import settings_of

ROLE = "role"
SIDES = ("torch", "keras")


@dataclass(frozen=True)
class Trial:
    """Settings of one side that are given the other side's values; and whether the two then agree, mode by mode."""

    names: tuple[str, ...]
    side: str
    found: tuple[Agreeing, ...]

    @property
    def equal(self) -> bool:
        return all(one.equal for one in self.found)


def modes(replay: Replayed) -> tuple[bool, ...]:
    """In which modes the two differ: evaluation (False), training (True), both, or neither."""
    return tuple(training for training in (False, True) if not replay.agree(training=training).equal)


def differing(one: Step, other: Step) -> dict[str, tuple[Any, Any]]:
    """Settings that are not the same, with both values; `role` alone where they do different things."""
    if one.role != other.role:
        if {one.role, other.role} & {BLOCK, CUSTOM}:
            return {}
        return {ROLE: ({ROLE: one.role, **one.settings}, {ROLE: other.role, **other.settings})}
    names = [name for name in settings_of(one.role) if name in one.settings and name in other.settings]
    pairs = {name: (one.settings[name], other.settings[name]) for name in names}
    return {name: pair for name, pair in pairs.items() if _plain(pair[0]) != _plain(pair[1])}


def by_settings(replay: Replayed, failing: Sequence[bool]) -> tuple[Cause | None, Cause | None]:
    """The cause that a trial confirms, and one that is likely where none does."""
    torch, keras = replay.steps
    different = differing(torch, keras)
    if not different:
        return None, None
    before = [replay.agree(training=training) for training in failing]
    trials: list[Trial] = []
    for trial in _trials(replay, different, failing):
        if trial.equal:
            return _confirmed(replay, trial, different, failing), None
        trials.append(trial)
    better = [trial for trial in trials if any(one.equal for one in trial.found)]
    if better:
        return _half(replay, better[0], different, failing), None
    return None, _likely(replay, different, trials, before)


def _trials(replay: Replayed, different: Mapping[str, tuple[Any, Any]], failing: Sequence[bool]) -> Iterator[Trial]:
    names = tuple(different)
    groups = [*((name,) for name in names), *itertools.combinations(names, 2)]
    if len(names) > 2:
        groups.append(names)
    for chosen, side in itertools.product(groups, reversed(SIDES)):
        varied = _varied(replay, chosen, side, different)
        if varied is None:
            continue
        steps = (varied, None) if side == "torch" else (None, varied)
        try:
            found = tuple(replay.agree(*steps, training=training) for training in failing)
        except DiglotError:
            continue  # the step cannot be run with the other side's value, so nothing is learnt
        yield Trial(chosen, side, found)


def _varied(replay: Replayed, names: Sequence[str], side: str, different: Mapping[str, tuple[Any, Any]]) -> Step | None:
    own, other = (0, 1) if side == "torch" else (1, 0)
    subject = replay.torch if side == "torch" else replay.keras
    step: Step | None = replay.steps[own]
    for name in names:
        step = subject.vary(step, name, different[name][other]) if step is not None else None
    return step


def _confirmed(
    replay: Replayed, trial: Trial, different: Mapping[str, tuple[Any, Any]], failing: Sequence[bool]
) -> Cause:
    digits = told(min(one.digits for one in trial.found))
    if trial.names == (ROLE,):
        text = f"{_roles(replay)}; with either's on both sides they agree to {digits}"
        return Cause(text, ROLE, True)
    where = "in training, " if failing == (True,) or list(failing) == [True] else ""
    values = _values(replay, trial, different)
    return Cause(f"{where}{_outputs(replay)} agree to {digits} if {values}", trial.names[0], True)


def _values(replay: Replayed, trial: Trial, different: Mapping[str, tuple[Any, Any]]) -> str:
    own, other = (1, 0) if trial.side == "keras" else (0, 1)
    names = labels(replay)
    wanted = " and ".join(f"`{name}` is {spoken(different[name][other])}" for name in trial.names)
    present = " and ".join(spoken(different[name][own]) for name in trial.names)
    return f"{wanted}, as in {names[other]}, instead of {present} in {names[own]}"


def _half(replay: Replayed, trial: Trial, different: Mapping[str, tuple[Any, Any]], failing: Sequence[bool]) -> Cause:
    place = next(place for place, one in enumerate(trial.found) if one.equal)
    mode, rest = ("training", "evaluation") if failing[place] else ("evaluation", "training")
    digits, left = told(trial.found[place].digits), next(one for one in trial.found if not one.equal)
    text = f"in {mode} {_outputs(replay)} agree to {digits} if {_values(replay, trial, different)}"
    if trial.names == (ROLE,):
        text = f"{_roles(replay)}; with either's on both sides they agree to {digits} in {mode}"
    others = [name for name in different if name not in trial.names and name != ROLE]
    listed = f", where {_both(replay, different, others)}" if others else ""
    return Cause(f"{text}; in {rest} its {left.worst} still differs{listed}", trial.names[0], True)


def _likely(
    replay: Replayed, different: Mapping[str, tuple[Any, Any]], trials: Sequence[Trial], before: Sequence[Agreeing]
) -> Cause:
    start = min(one.digits for one in before)
    best = max(trials, key=lambda trial: min(one.digits for one in trial.found), default=None)
    if best is not None:
        reached = min(one.digits for one in best.found)
        if reached > start + 2 and best.names != (ROLE,):
            text = f"{_outputs(replay)} agree to {told(reached)} instead of {int(start)}"
            return Cause(f"{text} if {_values(replay, best, different)}", best.names[0])
    if ROLE in different:
        return Cause(_roles(replay), ROLE)
    tried = {name for trial in trials for name in trial.names}
    left = [name for name in different if name not in tried] or list(different)
    listed = _both(replay, different, left)
    why = "which could not be tried" if left[0] not in tried else "which by itself does not explain the difference"
    return Cause(f"{listed}, {why}", left[0])


def _outputs(replay: Replayed) -> str:
    return f"outputs of the {replay.steps[0].role.replace('_', ' ')}"


def _both(replay: Replayed, different: Mapping[str, tuple[Any, Any]], names: Sequence[str]) -> str:
    one, other = labels(replay)
    return "; ".join(
        f"`{name}` is {spoken(different[name][0])} in {one} and {spoken(different[name][1])} in {other}"
        for name in names
    )


def _roles(replay: Replayed) -> str:
    torch, keras = replay.steps
    names = labels(replay)
    one, other = described(torch.role, torch.settings), described(keras.role, keras.settings)
    return f"{names[0]} applies {one} and {names[1]} {other}"


FORMS = {True: "in the tanh form", False: "in the exact form"}


def described(role: str, settings: Mapping[str, Any]) -> str:
    """A role with its settings: "gelu in the tanh form", "leaky relu of slope 0.3"."""
    name = role.replace("_", " ")
    if role == "gelu" and isinstance(settings.get("approximate"), bool):
        return f"{name} {FORMS[settings['approximate']]}"
    told = [
        f"{key.replace('_', ' ')} {spoken(settings[key])}" for key in settings_of(role) if settings.get(key) is not None
    ]
    return f"{name} of {', '.join(told)}" if told and len(told) < 3 else name


def spoken(value: Any) -> str:
    """A setting's value as a sentence gives it."""
    plain = _plain(value)
    if isinstance(plain, bool) or plain is None:
        return str(plain)
    if isinstance(plain, float):
        return f"{plain:.10g}"
    if isinstance(plain, tuple):
        return f"({', '.join(spoken(item) for item in plain)})"
    return str(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return tuple(value.ravel().tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
