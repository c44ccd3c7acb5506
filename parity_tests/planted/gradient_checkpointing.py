"""Mistakes in computing layers again."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

CHECKPOINTING = registry.make("gradient_checkpointing")


@partial(TechniqueBug, "everything is kept", CHECKPOINTING, "torch")
def kept(true: Any, spec: Any, case: Arrays) -> Arrays:
    found = true(spec, case)
    return {**found, "times computed": found["times computed"] // 2}


@partial(TechniqueBug, "the last segment is kept", CHECKPOINTING, "torch")
def last_kept(true: Any, spec: Any, case: Arrays) -> Arrays:
    found = true(spec, case)
    last = np.arange(spec.LAYERS) >= spec.cut(spec.LAYERS)[-1].start
    return {**found, "times computed": np.where(last, found["times computed"] // 2, found["times computed"])}


@partial(TechniqueBug, "no gradient beyond the last segment", CHECKPOINTING, "keras")
def cut_off(true: Any, spec: Any, case: Arrays) -> Arrays:
    found = true(spec, case)
    return {**found, **{f"kernel {i}": case[f"kernel {i}"] for i in range(spec.cut(spec.LAYERS)[-1].start)}}


@partial(TechniqueBug, "the input of a segment is computed again from its own output", CHECKPOINTING, "keras")
def shifted(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, {**case, "x": np.tanh(case["x"])})


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
