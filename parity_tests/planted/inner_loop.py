"""Mistakes in writing the inner loop of meta-learning."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

SECOND, FIRST = registry.make("inner_loop_second_order"), registry.make("inner_loop_first_order")


@partial(TechniqueBug, "first order passed off as second", SECOND, "keras")
def first_for_second(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(first_order=True), case)


@partial(TechniqueBug, "second order where first is asked for", FIRST, "torch")
def second_for_first(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(first_order=False), case)


@partial(TechniqueBug, "only the last inner step differentiated", SECOND, "torch")
def only_the_last(trace: Any, spec: Any, case: Arrays) -> Arrays:
    found, sets = trace(spec, case), ("support inputs", "support targets")
    before = trace(spec, {**case, **{name: case[name][:-1] for name in sets}})
    reached = {name: before[name] for name in ("kernel", "bias")}
    last = trace(spec, {**case, **{name: case[name][-1:] for name in sets}, **reached})
    return {**found, **{name: array for name, array in last.items() if name.startswith("gradient")}}


@partial(TechniqueBug, "step uphill", SECOND, "keras")
def uphill(trace: Any, spec: Any, case: Arrays) -> Arrays:
    object.__setattr__(turned := spec.replace(), "rate", -spec.rate)
    return trace(turned, case)


@partial(TechniqueBug, "every step on the first support set", SECOND, "torch")
def on_the_first(trace: Any, spec: Any, case: Arrays) -> Arrays:
    first = {name: case[name][[0, 0, 0]] for name in ("support inputs", "support targets")}
    return trace(spec, {**case, **first})


@partial(TechniqueBug, "loss of half the squared error", FIRST, "keras")
def half_the_error(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(rate=spec.rate / 2), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
