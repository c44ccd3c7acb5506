"""Mistakes in porting a curriculum."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("curriculum")
SLOW = registry.make("curriculum_slow")
REPLACEMENT = registry.make("curriculum_replacement")


@partial(TechniqueBug, "threshold one epoch late", PLAIN, "torch")
def one_epoch_late(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(start=spec.start - spec.step), case)


@partial(TechniqueBug, "epoch never advanced", SLOW, "keras")
def first_epoch_for_ever(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(step=0.0), case)


@partial(TechniqueBug, "samples drawn with replacement", PLAIN, "keras")
def with_replacement(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(replacement=True), case)


@partial(TechniqueBug, "hardest samples first", SLOW, "torch")
def hardest_first(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, {"difficulties": 1 - case["difficulties"]})


@partial(TechniqueBug, "same order in every epoch", REPLACEMENT, "keras")
def same_order(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "rows of epoch 30": result["rows of epoch 9"]}


@partial(TechniqueBug, "last batch dropped", PLAIN, "keras")
def drop_last(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    whole = {name: rows[: len(rows) // spec.BATCH * spec.BATCH] for name, rows in result.items() if rows.ndim}
    return {**result, **whole}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
