"""How a technique of a usual kind is run on a case: the bodies that the techniques' `trace` functions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..core.technique import Arrays, Optimizer
from .practice import practise


def trace_optimizer(build: Callable[..., Any], slots: Callable[..., Any], spec: Optimizer, case: Arrays) -> Arrays:
    """Every weight after every given step and every slot after the last; then what the small network gives."""
    names = [key[2:] for key in case if key.startswith("w.")]
    weights = [keras.Variable(case[f"w.{name}"], dtype=case[f"w.{name}"].dtype.name) for name in names]
    optimizer = build(spec, weights)

    @tf.function(autograph=False)
    def apply(rate: Any, gradients: list[Any]) -> list[Any]:
        optimizer.learning_rate = rate
        optimizer.apply(gradients, weights)
        return [ops.convert_to_tensor(weight) for weight in weights]

    history: list[list[Any]] = [[] for _ in names]
    for step, rate in enumerate(case["learning_rate"]):
        gradients = [tf.convert_to_tensor(case[f"g.{name}"][step]) for name in names]
        for kept, weight in zip(history, apply(tf.convert_to_tensor(rate), gradients), strict=True):
            kept.append(weight.numpy())
    result = {name: np.stack(kept) for name, kept in zip(names, history, strict=True)}
    for slot, variables in slots(optimizer, weights).items():
        for name, variable in zip(names, variables, strict=True):
            if variable is not None:
                result[f"{slot} of {name}"] = ops.convert_to_numpy(variable)
    return result | practise(build, slots, spec, case)
