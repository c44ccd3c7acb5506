"""Mistakes in porting the clipping by value."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("clip_by_value")


@partial(TechniqueBug, "cut above alone", PLAIN, "torch")
def one_sided(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {f"clipped {name}": np.minimum(array, spec.clip_value) for name, array in case.items()}


@partial(TechniqueBug, "what is too large set to zero", PLAIN, "keras")
def zeroed(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {f"clipped {name}": array * (abs(array) <= spec.clip_value) for name, array in case.items()}


@partial(TechniqueBug, "largest value for the largest norm", PLAIN, "keras")
def norm_for_value(true: Any, spec: Any, case: Arrays) -> Arrays:
    scales = {name: min(1.0, spec.clip_value / float(np.linalg.norm(array))) for name, array in case.items()}
    return {f"clipped {name}": array * scales[name] for name, array in case.items()}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
