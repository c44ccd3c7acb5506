"""Mistakes in porting stochastic gradient descent."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import torch
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.keras_impl import tracing as keras_tracing
from diglot.keras_impl.techniques import sgd as keras_sgd
from diglot.torch_impl import tracing as torch_tracing
from diglot.torch_impl.techniques import sgd as torch_sgd

from . import TechniqueBug

MOMENTUM = registry.make("sgd_momentum")
NESTEROV = registry.make("sgd_nesterov")
UPDATE = registry.make("sgd_momentum_update")


@partial(TechniqueBug, "Nesterov ignored", NESTEROV, "keras")
def nesterov_ignored(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(nesterov=False), case)


@partial(TechniqueBug, "Nesterov where it was not asked for", UPDATE, "torch")
def nesterov_unasked(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(nesterov=True), case)


@partial(TechniqueBug, "rate inside the velocity", MOMENTUM, "keras")
def rate_inside_velocity(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(velocity="update"), case)


@partial(TechniqueBug, "rate outside the velocity", UPDATE, "torch")
def rate_outside_velocity(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(velocity="gradient"), case)


@partial(TechniqueBug, "decoupled decay for L2", MOMENTUM, "keras")
def decoupled_for_l2(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay="decoupled"), case)


@partial(TechniqueBug, "L2 for decoupled decay", NESTEROV, "torch")
def l2_for_decoupled(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(decay="l2"), case)


@partial(TechniqueBug, "decoupled decay not multiplied by the rate", NESTEROV, "keras")
def decay_without_rate(true: Any, spec: Any, case: Arrays) -> Arrays:
    class SGD(keras.optimizers.SGD):
        def _apply_weight_decay(self, variables: Any) -> None:
            for variable in variables:
                variable.assign(variable * (1 - spec.weight_decay))

    def build(_: Any, weights: list[Any]) -> SGD:
        optimizer = SGD(spec.learning_rate, spec.momentum, spec.nesterov, weight_decay=spec.weight_decay)
        optimizer.build(weights)
        return optimizer

    return keras_tracing.trace_optimizer(build, keras_sgd.slots, spec, case)


@partial(TechniqueBug, "dampening", MOMENTUM, "torch")
def dampening(true: Any, spec: Any, case: Arrays) -> Arrays:
    def build(_: Any, weights: list[Any]) -> torch.optim.SGD:
        return torch.optim.SGD(
            weights, spec.learning_rate, spec.momentum, dampening=1 - spec.momentum, weight_decay=spec.weight_decay
        )

    return torch_tracing.trace_optimizer(build, torch_sgd.slots, spec, case)


@partial(TechniqueBug, "momentum 0.1% too large", MOMENTUM, "torch")
def larger_momentum(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(momentum=spec.momentum * 1.001), case)


@partial(TechniqueBug, "decay 0.1% too large", MOMENTUM, "keras")
def larger_decay(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(weight_decay=spec.weight_decay * 1.001), case)


@partial(TechniqueBug, "rate of the step before", UPDATE, "keras")
def rate_of_step_before(true: Any, spec: Any, case: Arrays) -> Arrays:
    rates = case["learning_rate"]
    return true(spec, {**case, "learning_rate": np.concatenate([rates[:1], rates[:-1]])})


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
