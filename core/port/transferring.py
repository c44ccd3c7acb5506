"""Weights and buffers from one live model into another of the other framework."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..backend import load
from ..errors import DiglotError, InputError, SpecError
from ..technique import Arrays
from .carrying import carried
from .comparing import mapping
from .given import Given, given, may_agree, options
from .layer import Trace
from .mapping import WeightMapping
from .matching import match
from .subject import examine


def transfer(
    source: Any,
    target: Any,
    map: Any = None,
    *,
    inputs: Any = None,
    torch_inputs: Any = None,
    ignore: Sequence[str] = (),
) -> WeightMapping:
    """See diglot.transfer."""
    found = carriage(source, target, map, inputs=inputs, torch_inputs=torch_inputs, ignore=ignore)
    found.write()
    return found.mapping


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
    traces = None
    if inputs is not None or torch_inputs is not None:
        traces = _traces(models, given(inputs if inputs is not None else torch_inputs, torch_inputs))
    live = {side: _side(side).live(model) for side, model in models.items()}
    found = match(live["torch"], live["keras"], given=mapping(map), ignore=tuple(ignore), traces=traces)
    states = {side: each.state() for side, each in live.items()}
    return Carriage(found, to, target, states, carried(found, states[side_of(source)], states[to], to))


def side_of(model: Any) -> str:
    """The framework of a live model. Raises InputError for what is none."""
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if torch is not None and isinstance(model, torch.nn.Module):
        return "torch"
    if keras is not None and isinstance(model, keras.layers.Layer):
        return "keras"
    raise InputError(f"{type(model).__name__} is neither a PyTorch module nor a Keras model")


def _side(side: str) -> Any:
    load(side)
    package = __name__.removesuffix(".core.port.transferring")
    return importlib.import_module(f"{package}.{side}_impl.port.live")


def _traces(models: dict[str, Any], told: Given) -> tuple[Trace, Trace]:
    """A run of both, PyTorch's in the first layout of the inputs in which it may give what Keras's does."""
    batch = told.batch()
    keras = examine("keras", models["keras"], told.of("keras", batch), precise=False).run(told.of("keras", batch))
    failures: list[DiglotError] = []
    found: list[Trace] = []
    for layouts in [told.layouts] if told.own is not None else options(told.keras):
        told.layouts = layouts
        try:
            trace = examine("torch", models["torch"], told.of("torch", batch), precise=False).run(
                told.of("torch", batch)
            )
        except InputError as error:
            failures.append(error)
            continue
        if may_agree(trace.outputs, keras.outputs):
            return trace, keras
        found.append(trace)
    if not found:
        raise failures[0]
    return found[0], keras
