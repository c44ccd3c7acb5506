"""Mistakes in porting Adam with Nesterov's momentum."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.keras_impl import tracing as keras_tracing
from diglot.keras_impl.techniques import adam as keras_adam

from . import TechniqueBug

PLAIN = registry.make("nadam")
L2 = registry.make("nadam_l2")
KERAS = registry.make("nadam_keras")


@partial(TechniqueBug, "momentum schedule of the Keras class", PLAIN, "keras")
def native_schedule(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(momentum_decay=1.0), case)


@partial(TechniqueBug, "momentum decay left at the PyTorch default", KERAS, "torch")
def default_schedule(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(momentum_decay=0.004), case)


@partial(TechniqueBug, "plain Adam", PLAIN, "keras")
def plain_adam(true: Any, spec: Any, case: Arrays) -> Arrays:
    adam = registry.make("adam", **{name: getattr(spec, name) for name in ("beta_1", "beta_2", "epsilon")})
    return {**true(spec, case), **keras_tracing.trace_optimizer(keras_adam.build, keras_adam.slots, adam, case)}


@partial(TechniqueBug, "decoupled decay for L2", L2, "keras")
def decoupled_for_l2(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay="decoupled"), case)


@partial(TechniqueBug, "decoupled decay twice", KERAS, "keras")
def decay_twice(true: Any, spec: Any, case: Arrays) -> Arrays:
    def twice(self: Any, variables: Any) -> None:
        native(self, variables)
        native(self, variables)

    native = keras.optimizers.Optimizer._apply_weight_decay
    nadam = keras.optimizers.Nadam
    try:
        nadam._apply_weight_decay = twice
        return true(spec, case)
    finally:
        del nadam._apply_weight_decay


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
