"""Mistakes in counting dead units."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("dead_units")
NEARLY = registry.make("dead_units_nearly")


def counted(case: Arrays, dead: Any) -> Arrays:
    """Units by `dead(activations)`."""
    masks = {name: dead(np.maximum(array, 0.0)) for name, array in case.items()}
    return {f"dead of {name}": mask for name, mask in masks.items()} | {
        f"share of {name}": np.asarray(mask.mean()) for name, mask in masks.items()
    }


@partial(TechniqueBug, "dead where any sample is zero", PLAIN, "keras")
def any_sample(true: Any, spec: Any, case: Arrays) -> Arrays:
    return counted(case, lambda array: (array == 0).reshape(-1, array.shape[-1]).any(axis=0))


@partial(TechniqueBug, "dead by the mean over the samples", NEARLY, "torch")
def by_mean(true: Any, spec: Any, case: Arrays) -> Arrays:
    return counted(case, lambda array: array.reshape(-1, array.shape[-1]).mean(axis=0) <= spec.threshold)


@partial(TechniqueBug, "share of zeros for the share of dead units", PLAIN, "torch")
def zeros(true: Any, spec: Any, case: Arrays) -> Arrays:
    wrong = {f"share of {name}": np.asarray((array <= 0).mean()) for name, array in case.items()}
    return {**true(spec, case), **wrong}


@partial(TechniqueBug, "first sample only", PLAIN, "keras")
def first_sample(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, {name: array[:1] for name, array in case.items()})


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
