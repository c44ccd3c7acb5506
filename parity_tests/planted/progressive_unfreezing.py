"""Mistakes in porting progressive unfreezing."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

THREE = registry.make("progressive_unfreezing_three")
DOCUMENT = registry.make("progressive_unfreezing_document")
AT_ONCE = registry.make("progressive_unfreezing_at_once")


@partial(TechniqueBug, "stages from the stem up", THREE, "torch")
def wrong_way(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(patterns=("stem.*", "middle.*", "*")), case)


@partial(TechniqueBug, "stage one epoch late", DOCUMENT, "keras")
def one_epoch_late(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epochs=tuple(epoch + 1 for epoch in spec.epochs)), case)


@partial(TechniqueBug, "optimizer built with the head alone, so that the rest never moves", DOCUMENT, "torch")
def unknown_to_the_optimizer(true: Any, spec: Any, case: Arrays) -> Arrays:
    still = {key[2:]: case[key] + 0 * case[f"g.{key[2:]}"] for key in case if key.startswith("w.")}
    return {**true(spec, case), **{name: array for name, array in still.items() if spec.stage(name)}}


@partial(TechniqueBug, "weights of a compiled step kept", THREE, "keras")
def first_stage_for_ever(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epochs=(2, 2)), case)


@partial(TechniqueBug, "one rate for all weights", THREE, "keras")
def one_rate(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay=1.0), case)


@partial(TechniqueBug, "rates that grow from the head down", AT_ONCE, "torch")
def growing_rates(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay=1 / spec.decay), case)


@partial(TechniqueBug, "all stages at the first one's epoch", DOCUMENT, "torch")
def all_at_once(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epochs=spec.epochs[:1] * len(spec.epochs)), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
