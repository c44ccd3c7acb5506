"""Mistakes in porting initial values."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.core.techniques.weight_initializer import CUT_DEVIATION

from . import TechniqueBug

XAVIER = registry.make("weight_initializer")
NORMAL = registry.make("weight_initializer_xavier_normal")
TRUNCATED = registry.make("weight_initializer_he_truncated")
SLOPED = registry.make("weight_initializer_he_uniform")
HE = registry.make("weight_initializer_he_normal")
ORTHOGONAL = registry.make("weight_initializer_orthogonal")


@partial(TechniqueBug, "fans of PyTorch's layout taken of Keras's kernel", HE, "keras")
def exchanged_fans(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(mode="fan_out"), case)


@partial(TechniqueBug, "receptive field left out of the fans", HE, "torch")
def no_receptive_field(true: Any, spec: Any, case: Arrays) -> Arrays:
    fields = {name: np.sqrt(np.prod(array.shape[:-2])) for name, array in case.items()}
    return {name: array * fields[name] for name, array in true(spec, case).items()}


@partial(TechniqueBug, "deviation for the limit of a uniform distribution", XAVIER, "torch")
def deviation_for_limit(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {name: array / np.sqrt(3) for name, array in true(spec, case).items()}


@partial(TechniqueBug, "fan_in alone for the mean of both", NORMAL, "keras")
def one_fan(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(distribution="lecun_normal"), case)


@partial(TechniqueBug, "deviation that the cut takes off not made up for", TRUNCATED, "torch")
def narrow(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {name: array * CUT_DEVIATION for name, array in true(spec, case).items()}


@partial(TechniqueBug, "slope of the rectifier forgotten", SLOPED, "keras")
def no_slope(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(negative_slope=0.0), case)


@partial(TechniqueBug, "signs of R left in Q", ORTHOGONAL, "keras")
def signs_left(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    _, r = np.linalg.qr(case["tall"])
    return {**result, "tall": result["tall"] * np.sign(np.diag(r))}


@partial(TechniqueBug, "inputs of a wide kernel in PyTorch's order", ORTHOGONAL, "torch")
def reordered(true: Any, spec: Any, case: Arrays) -> Arrays:
    draws = case["expansion"]  # (1, width, in, out)
    swapped = true(spec, {"expansion": draws.transpose(0, 2, 1, 3)})["expansion"]
    return {**true(spec, case), "expansion": swapped.transpose(0, 2, 1, 3)}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
