"""Mistakes in porting early stopping."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest import mock

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.core.techniques.early_stopping import EarlyStopping

from . import TechniqueBug

SOON = registry.make("early_stopping_soon")
DELTA = registry.make("early_stopping_delta")
LARGEST = registry.make("early_stopping_max")


@partial(TechniqueBug, "patience off by one", SOON, "torch")
def patience_exceeded(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(patience=spec.patience + 1), case)


@partial(TechniqueBug, "last weights kept, as by default", SOON, "keras")
def last_weights(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(restore_best=False), case)


@partial(TechniqueBug, "best weights of a run that was not stopped left out", SOON, "torch")
def restored_when_stopped(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    last = true(spec.replace(restore_best=False), case)["weights"]
    return {**result, "weights": np.where(result["stopped"][:, None] == 1, result["weights"], last)}


@partial(TechniqueBug, "best weights a reference, which training goes on with", DELTA, "torch")
def not_copied(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "weights": true(spec.replace(restore_best=False), case)["weights"]}


@partial(TechniqueBug, "least change ignored", DELTA, "keras")
def any_change(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(min_delta=0.0), case)


@partial(TechniqueBug, "each epoch compared with the one before", DELTA, "torch")
def last_for_best(true: Any, spec: Any, case: Arrays) -> Arrays:
    falling = np.concatenate([case["metrics"][:, :1], np.diff(case["metrics"]).cumsum(axis=1)], axis=1)
    return true(spec.replace(min_delta=0.0), {**case, "metrics": falling})


@partial(TechniqueBug, "difference compared with the least change", LARGEST, "torch")
def difference(true: Any, spec: Any, case: Arrays) -> Arrays:
    def better(self: Any, value: float, best: float) -> bool:
        return (best - value if self.mode == "min" else value - best) > self.min_delta

    with mock.patch.object(EarlyStopping, "better", better):
        return true(spec, case)


@partial(TechniqueBug, "less taken for better", LARGEST, "keras")
def wrong_direction(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(mode="min"), case)


@partial(TechniqueBug, "wait counted from zero after a resume", SOON, "keras")
def wait_forgotten(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    waits = result["waits resumed"].copy()
    waits[:, spec.middle() :] = np.maximum(waits[:, spec.middle() :] - waits[:, spec.middle() - 1 : spec.middle()], -1)
    return {**result, "waits resumed": waits}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
