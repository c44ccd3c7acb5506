"""Mistakes in porting adaptive gradient clipping."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("adaptive_gradient_clipping")
STRONG = registry.make("adaptive_gradient_clipping_strong")
Norm = Callable[[Any], Any]


def rescaled(spec: Any, case: Arrays, norm: Norm) -> Arrays:
    """The rule with another norm."""
    result: Arrays = {}
    for key, array in case.items():
        kind, name = key.split(".")
        if kind in spec.SETS:
            largest = spec.clipping * np.maximum(norm(case[f"weight.{name}"]), spec.epsilon)
            result[f"clipped {key}"] = array * (largest / np.maximum(norm(array), largest))
    return result


@partial(TechniqueBug, "one norm for each whole weight", PLAIN, "torch")
def layerwise(true: Any, spec: Any, case: Arrays) -> Arrays:
    return rescaled(spec, case, np.linalg.norm)


@partial(TechniqueBug, "units along the inputs: the first axis of Keras's layout", PLAIN, "keras")
def input_units(true: Any, spec: Any, case: Arrays) -> Arrays:
    return rescaled(
        spec, case, lambda array: np.sqrt((array**2).sum(axis=tuple(range(1, array.ndim)) or None, keepdims=True))
    )


@partial(TechniqueBug, "each element of a bias a unit of its own", PLAIN, "keras")
def single_biases(true: Any, spec: Any, case: Arrays) -> Arrays:
    return rescaled(spec, case, lambda array: np.sqrt((array**2).sum(axis=tuple(range(array.ndim - 1)), keepdims=True)))


@partial(TechniqueBug, "weights of zero that cannot move", PLAIN, "torch")
def no_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=1e-30), case)


@partial(TechniqueBug, "epsilon added to the norm of the weights", STRONG, "torch")
def added_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    units = {"kernel": 0, "bias": None, "convolution": (0, 1, 2)}
    result: Arrays = {}
    for key, array in case.items():
        kind, name = key.split(".")
        if kind in spec.SETS:
            norms = [np.sqrt((x**2).sum(axis=units[name], keepdims=True)) for x in (array, case[f"weight.{name}"])]
            largest = spec.clipping * (norms[1] + spec.epsilon)
            result[f"clipped {key}"] = array * (largest / np.maximum(norms[0], largest))
    return result


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
