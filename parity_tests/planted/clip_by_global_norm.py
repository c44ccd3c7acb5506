"""Mistakes in porting the clipping by the global norm."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("clip_by_global_norm")
EXACT = registry.make("clip_by_global_norm_without_epsilon")


def clipped(case: Arrays, scale: Any) -> Arrays:
    """Each set of gradients times `scale(gradients)`."""
    result: Arrays = {}
    for norm in ("long", "short"):
        gradients = {name: array for name, array in case.items() if name.startswith(f"{norm}.")}
        result |= {f"clipped {name}": array * scale(list(gradients.values())) for name, array in gradients.items()}
    return result


@partial(TechniqueBug, "each gradient clipped by its own norm", PLAIN, "keras")
def own_norm(true: Any, spec: Any, case: Arrays) -> Arrays:
    optimizer = keras.optimizers.SGD(clipnorm=spec.max_norm)
    clip = optimizer._clip_gradients
    return {f"clipped {name}": clip([tf.convert_to_tensor(array)])[0].numpy() for name, array in case.items()}


@partial(TechniqueBug, "epsilon left out", PLAIN, "keras")
def no_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=0.0), case)


@partial(TechniqueBug, "epsilon that was not asked for", EXACT, "torch")
def native_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=1e-6), case)


@partial(TechniqueBug, "clipped by value", PLAIN, "torch")
def by_value(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {f"clipped {name}": np.clip(array, -spec.max_norm, spec.max_norm) for name, array in case.items()}


@partial(TechniqueBug, "root of the sum of squares forgotten", PLAIN, "torch")
def squared_norm(true: Any, spec: Any, case: Arrays) -> Arrays:
    return clipped(case, lambda gradients: min(1.0, spec.max_norm / sum((array**2).sum() for array in gradients)))


@partial(TechniqueBug, "sum of the norms for the norm of all", EXACT, "torch")
def sum_of_norms(true: Any, spec: Any, case: Arrays) -> Arrays:
    norms = partial(map, np.linalg.norm)
    return clipped(case, lambda gradients: min(1.0, spec.max_norm / sum(norms(gradients))))


@partial(TechniqueBug, "short gradients stretched to the largest norm", EXACT, "keras")
def normalised(true: Any, spec: Any, case: Arrays) -> Arrays:
    def scale(gradients: list[Any]) -> float:
        return spec.max_norm / torch.nn.utils.get_total_norm([torch.tensor(array) for array in gradients]).item()

    return clipped(case, scale)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
