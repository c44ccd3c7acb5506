"""Weights and buffers from one live model into another of the other framework."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import SIDES, load
from ..errors import DiglotError, InputError, SpecError
from ..technique import Arrays
from .carrying import canonical, carried
from .comparing import mapping, words
from .given import Given, given, may_agree, options, refused
from .layer import Trace
from .mapping import WeightMapping
from .matching import match
from .settling import settled
from .subject import Subject, examine, framework

ROUNDED = "rounded"


def transfer(source: Any, target: Any, map: Any = None, **options: Any) -> WeightMapping:
    """See diglot.transfer; `options` are those of `carriage`."""
    found = carriage(source, target, map, **options)
    found.write()
    said = _rounded(found, {side_of(model): _side(side_of(model)).live(model) for model in (source, target)})
    before = [sentence for sentence in found.mapping.settled if ROUNDED not in sentence]
    return replace(found.mapping, settled=(*before, *said))


@dataclass(frozen=True)
class Carriage:
    """What is to be written into a model of the side `to`; `states` are those of both models before."""

    mapping: WeightMapping
    to: str
    target: Any
    states: dict[str, Arrays]
    arrays: Arrays

    def write(self) -> None:
        """Copy all of it into the target, or nothing."""
        _side(self.to).write_live(self.target, self.arrays)


@np.errstate(all="ignore")  # what overflows in a run tells nothing of which weight is which
def carriage(
    source: Any,
    target: Any,
    map: Any = None,
    *,
    inputs: Any = None,
    torch_inputs: Any = None,
    ignore: Sequence[str] = (),
) -> Carriage:
    """What a transfer would write. Raises what diglot.transfer raises."""
    to = {"torch": "keras", "keras": "torch"}[side_of(source)]
    if side_of(target) != to:
        raise SpecError(f"both models are of one framework; transfer goes from one to the other, so give a {to} model")
    models = {side_of(source): source, to: target}
    held: dict[str, Any] = {}
    traces, told = None, None
    if inputs is not None or torch_inputs is not None:
        told = given(inputs if inputs is not None else torch_inputs, torch_inputs)
        held, traces = _run(models, told)
    else:
        held = {side: _side(side).live(model) for side, model in models.items()}
        for arrays in () if isinstance(map, WeightMapping) else _side("keras").drawn(models["keras"]):
            try:
                told = given(arrays)
                held, traces = _run(models, told)
            except InputError:  # the model does not take what its inputs' shapes promise, so that nothing is known
                continue
            break
    found = match(held["torch"], held["keras"], given=mapping(map), ignore=words(ignore, "ignore"), traces=traces)
    states = {side: _side(side).live(model).state() for side, model in models.items()}
    if traces is not None and told is not None:
        found = settled(held, found, {side: held[side].state() for side in SIDES}, told)
    return Carriage(found, to, target, states, carried(found, states[side_of(source)], states[to], to))


def _rounded(carriage: Carriage, live: dict[str, Any]) -> list[str]:
    """How many weights have other numbers now than in the source, since the target holds them in another type."""
    to, back = carriage.to, {"torch": "keras", "keras": "torch"}[carriage.to]
    types = {side: one.dtypes() for side, one in live.items()}
    after = live[to].state()
    found: dict[tuple[str, str], set[str]] = {}
    for one in carriage.mapping.matches:
        source, target = (one.keras[0], one.torch[0]) if to == "torch" else (one.torch[0], one.keras[0])
        kinds = types[back][source.tensor], types[to][target.tensor]
        whole = canonical(one, carriage.states[back], back).astype(np.float64)
        if kinds[0] != kinds[1] and not np.array_equal(whole, canonical(one, after, to), equal_nan=True):
            found.setdefault(kinds, set()).add(target.tensor)
    return [
        f"{len(names)} {'weights were' if len(names) > 1 else 'weight was'} {ROUNDED} from {kinds[0]} to {kinds[1]}"
        for kinds, names in found.items()
    ]


def side_of(model: Any) -> str:
    """The framework of a live model. Raises InputError for what is none."""
    if not isinstance(model, type) and (side := framework(model)):
        return side
    raise InputError(f"{type(model).__name__} is neither a PyTorch module nor a Keras model")


def _side(side: str) -> Any:
    load(side)
    package = __name__.removesuffix(".core.port.transferring")
    return importlib.import_module(f"{package}.{side}_impl.port.live")


def _run(models: dict[str, Any], told: Given) -> tuple[dict[str, Subject], tuple[Trace, Trace]]:
    """Both models and a run of each, PyTorch's in the first layout of the inputs that may give what Keras's does."""
    keras, theirs = _seen("keras", models, told)
    failures: list[DiglotError] = []
    found: list[tuple[Subject, Trace]] = []
    for layouts in [told.layouts] if told.own is not None else options(told.keras):
        told.layouts = layouts
        try:
            found.append(_seen("torch", models, told))
        except InputError as error:
            failures.append(error)
            continue
        if may_agree(found[-1][1].outputs, theirs.outputs):
            break
    if not found:
        raise refused(told, failures)
    torch, ours = found[-1] if may_agree(found[-1][1].outputs, theirs.outputs) else found[0]
    return {"torch": torch, "keras": keras}, (ours, theirs)


def _seen(side: str, models: dict[str, Any], told: Given) -> tuple[Subject, Trace]:
    inputs = told.of(side, told.batch())
    subject = examine(side, models[side], inputs, precise=False)
    return subject, subject.run(inputs)
