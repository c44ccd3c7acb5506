"""Units that no sample activates. See core/techniques/dead_units.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...core.technique import Arrays
from ...core.techniques.dead_units import DeadUnits as Spec
from ..exact import constant
from ..observing import relus


def build(spec: Spec) -> Callable[..., Any]:
    def dead(activations: Any, axis: int = -1) -> Any:
        small = tf.abs(activations) <= constant(spec.threshold, activations)
        others = [other for other in range(small.ndim) if other != axis % small.ndim]
        return tf.reduce_all(small, axis=others)  # (units)

    return dead


def watch(spec: Spec, model: keras.Model, inputs: Sequence[Any]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for name, mask in relus(model, inputs, build(spec)):
        shares[spec.numbered(name, shares)] = float(np.mean(mask.numpy()))
    return shares


def trace(spec: Spec, case: Arrays) -> Arrays:
    result: Arrays = {}
    for name, array in case.items():
        dead = build(spec)(tf.nn.relu(array))
        share = tf.reduce_mean(tf.cast(dead, array.dtype))
        result |= {f"dead of {name}": dead.numpy(), f"share of {name}": np.asarray(share)}
    return result
