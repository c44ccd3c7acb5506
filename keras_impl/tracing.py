"""How a technique of a usual kind is run on a case: the bodies that the techniques' `trace` functions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from ..core.technique import Arrays, Optimizer


def trace_optimizer(build: Callable[..., Any], slots: Callable[..., Any], spec: Optimizer, case: Arrays) -> Arrays:
    """Every weight after every step, and every slot after the last."""
    names = [key[2:] for key in case if key.startswith("w.")]
    weights = [keras.Variable(case[f"w.{name}"], dtype=case[f"w.{name}"].dtype.name) for name in names]
    optimizer = build(spec, weights)
    history: list[list[Any]] = [[] for _ in names]
    for step, rate in enumerate(case["learning_rate"]):
        optimizer.learning_rate = float(rate)
        gradients = [ops.convert_to_tensor(case[f"g.{name}"][step]) for name in names]
        optimizer.apply(gradients, weights)
        for kept, weight in zip(history, weights, strict=True):
            kept.append(ops.convert_to_numpy(weight))
    result = {name: np.stack(kept) for name, kept in zip(names, history, strict=True)}
    for slot, variables in slots(optimizer, weights).items():
        result |= {
            f"{slot} of {name}": ops.convert_to_numpy(value) for name, value in zip(names, variables, strict=True)
        }
    return result
