"""Two models that Diglot has never seen: their weights, outputs, gradients and training, and where they part."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..backend import SIDES
from ..errors import DiglotError, InputError, SpecError, nearest
from ..noise import generator
from ..results import Report
from ..runner import versions
from ..technique import Arrays
from . import carrying, matching
from .given import Given, Hint, given, may_agree, options, refused
from .layouts import Layout
from .mapping import WeightMapping
from .porting import Porting
from .session import Session
from .settling import settled
from .stated import renaming
from .subject import Subject, examine, framework

NAMES = {"torch": "PyTorch", "keras": "Keras"}
CHECKS = ("weights", "forward", "gradients", "training")
STEPS = 3
SPREAD = 0.1  # of the normal numbers by which a weight moves that is one number throughout, such as a fresh bias


@np.errstate(all="ignore")  # what overflows is not finite, and judged as such
def compare(
    torch_model: Any,
    keras_model: Any,
    inputs: Any,
    *,
    torch_inputs: Any = None,
    torch_outputs: Hint = None,
    keras_outputs: Hint = None,
    map: Any = None,
    ignore: Sequence[str] = (),
    checks: str | Sequence[str] | None = None,
    steps: int = STEPS,
    seed: int = 0,
) -> Report:
    """See diglot.compare."""
    started = time.perf_counter()
    chosen = _checks(checks)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise SpecError(f"steps must be a whole number from 1 up, not {steps!r}")
    told = given(inputs, torch_inputs)
    subjects, notes = _subjects(torch_model, keras_model, told)
    ours, theirs = (subjects[side].run(told.of(side, told.batch())) for side in SIDES)
    chart = matching.match(
        subjects["torch"],
        subjects["keras"],
        traces=(ours, theirs),
        given=mapping(map),
        ignore=words(ignore, "ignore"),
    )
    held = {side: subjects[side].state() for side in SIDES}
    chart = settled(subjects, chart, held, told)
    porting = Porting(subjects, chart, told, seed)
    session = Session(
        porting,
        f"{_name(torch_model)} | {_name(keras_model)}",
        notes,
        made=is_made(torch_model) or is_made(keras_model),
    )
    session.weights(held, "weights" in chosen)
    porting.share(shared(porting, held))
    porting.settle(torch_outputs, keras_outputs)
    porting.watch(torch_outputs, keras_outputs)
    session.checks(chosen, steps)
    return Report(
        session.cells, seed, versions(), time.perf_counter() - started,
        mapping=chart, notes=tuple(session.notes), findings=session.findings,
    )  # fmt: skip


def mapping(map: Any) -> WeightMapping | None:
    """What a user gives as a mapping: one that was found, names of PyTorch's by Keras's, or a file of it."""
    if map is None or isinstance(map, WeightMapping):
        return map
    if isinstance(map, Mapping):
        return renaming(map)
    if not isinstance(map, str | os.PathLike):
        raise SpecError(f"map= takes a file, or {{PyTorch's name: Keras's name}}, and not {type(map).__name__}")
    from .mapfile import read_map

    return read_map(map)


def words(given: Any, option: str) -> tuple[str, ...]:
    """One name or several, as an option takes them. Raises SpecError for what is neither."""
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Collection) else (None,)
    if not all(isinstance(name, str) for name in names):
        raise SpecError(f"{option}= takes a name or a list of names, and not {given!r}")
    return names


def _checks(checks: str | Sequence[str] | None) -> tuple[str, ...]:
    names = CHECKS if checks is None else words(checks, "checks")
    for name in names:
        if name not in CHECKS:
            raise SpecError(
                f"there is no check {name!r} of two models; they are {', '.join(CHECKS)}{nearest(str(name), CHECKS)}"
            )
    if not names:
        raise SpecError(f"no check was asked for; they are {', '.join(CHECKS)}")
    return tuple(name for name in CHECKS if name in names)


def is_made(model: Any) -> bool:
    """Whether this is a factory, whose model has the weights that were drawn when it was called."""
    return isinstance(model, type) or not (hasattr(model, "state_dict") or hasattr(model, "weights"))


def _name(model: Any) -> str:
    named = getattr(model, "__name__", "") if not isinstance(model, type) else model.__name__
    return str(named or type(model).__name__)


def _subjects(torch_model: Any, keras_model: Any, told: Given) -> tuple[dict[str, Subject], list[str]]:
    """Both models, in one precision, with notes on what weakens it: in float32 where either exists only in float32."""
    for place, (side, model) in enumerate((("torch", torch_model), ("keras", keras_model))):
        if (own := framework(model)) not in ("", side):
            which = f"the {('first', 'second')[place]} model, {_name(model)}, is of {NAMES[own]}"
            raise InputError(f"{which}; compare takes PyTorch's model first and Keras's second")
    notes: list[str] = []
    for precise in (True, False):
        keras = examine("keras", keras_model, told.of("keras", told.batch()), precise=precise)
        found = {"torch": _torch(torch_model, told, keras, precise), "keras": keras}
        weak = {side: one.weaker for side, one in found.items() if one.precision == "float32"}
        if precise:
            notes = [
                f"{NAMES[side]}'s model was compared in float32, against the floor of float32, which is weaker "
                f"evidence: {reason}"
                for side, reason in weak.items()
            ]
        if len(weak) in (0, len(found)):
            break
    notes += [
        f"{NAMES[side]}'s model works in {one.half} and was compared in {one.precision}, where its formulas show; what "
        f"{one.half} rounds off was not compared"
        for side, one in found.items()
        if one.half
    ]
    return found, notes


def _torch(model: Any, told: Given, keras: Subject, precise: bool) -> Subject:
    """PyTorch's model, with the layouts of the inputs in which it runs and gives what Keras's model may give."""
    if told.own is not None:
        return examine("torch", model, told.of("torch", told.batch()), precise=precise)
    theirs = keras.run(told.of("keras", told.batch()), watch=False).outputs
    failures: list[DiglotError] = []
    found: list[tuple[bool, dict[str, Layout], Subject]] = []
    for layouts in options(told.keras):
        told.layouts = layouts
        try:
            subject = examine("torch", model, told.of("torch", told.batch()), precise=precise)
            given = subject.run(told.of("torch", told.batch()), watch=False).outputs
        except InputError as error:
            failures.append(error)
            continue
        found.append((may_agree(given, theirs), layouts, subject))
    if not found:
        raise refused(told, failures)
    likely = [item for item in found if item[0]] or found[:1]
    told.options = [layouts for _, layouts, _ in likely]
    told.layouts = told.options[0]
    return likely[0][2]


def shared(porting: Porting, held: Mapping[str, Arrays]) -> dict[str, Arrays]:
    """PyTorch's weights for both sides, in the precision of the comparison.

    A weight that is one number throughout would hide what becomes of it, so it moves.
    """
    dtype = porting.precision
    states = {
        side: {name: array.astype(dtype) if array.dtype.kind == "f" else array.copy() for name, array in arrays.items()}
        for side, arrays in held.items()
    }
    for match in porting.mapping.matches:
        parts = [piece.read(states["torch"][piece.tensor], match.axes) for piece in match.torch]
        for piece, part in zip(match.torch, parts, strict=True):
            if part.dtype.kind == "f" and part.size and np.all(part == part.flat[0]):
                moved = part + SPREAD * generator(porting.seed, f"spread {piece.tensor} {piece.pick}").standard_normal(
                    part.shape
                )
                moved = np.abs(moved) if match.name.endswith(".variance") else moved
                whole = states["torch"][piece.tensor].copy()
                piece.write(whole, moved.astype(np.float32).astype(dtype), match.axes)
                states["torch"][piece.tensor] = whole
    states["keras"].update(carrying.carried(porting.mapping, states["torch"], states["keras"], "keras"))
    return states
