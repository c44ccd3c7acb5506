"""Mistakes in porting Adam with decoupled weight decay."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import torch
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.keras_impl import tracing as keras_tracing
from diglot.keras_impl.techniques import adam as keras_adam
from diglot.torch_impl import tracing as torch_tracing
from diglot.torch_impl.techniques import adam as torch_adam

from . import TechniqueBug

PLAIN = registry.make("adamw", epsilon=1e-3)
UNCORRECTED = registry.make("adamw_uncorrected", epsilon=1e-3)


@partial(TechniqueBug, "L2 for decoupled decay", PLAIN, "torch")
def l2_for_decoupled(true: Any, spec: Any, case: Arrays) -> Arrays:
    return torch_adam.trace(registry.make("adam", **spec.fields()), case)


@partial(TechniqueBug, "decay not multiplied by the rate", UNCORRECTED, "keras")
def decay_without_rate(true: Any, spec: Any, case: Arrays) -> Arrays:
    class AdamW(keras.optimizers.AdamW):
        def _apply_weight_decay(self, variables: Any) -> None:
            for variable in variables:
                variable.assign(variable * (1 - spec.weight_decay))

    def build(_: Any, weights: list[Any]) -> AdamW:
        optimizer = AdamW(
            spec.learning_rate, spec.weight_decay, spec.beta_1, spec.beta_2, spec.epsilon, amsgrad=spec.amsgrad
        )
        optimizer.build(weights)
        return optimizer

    return keras_tracing.trace_optimizer(build, keras_adam.slots, spec, case)


@partial(TechniqueBug, "decay by the first rate of the schedule", PLAIN, "torch")
def decay_by_first_rate(true: Any, spec: Any, case: Arrays) -> Arrays:
    class AdamW(torch.optim.AdamW):
        def step(self, closure: Any = None) -> Any:
            with torch.no_grad():
                for group in self.param_groups:
                    for weight in group["params"]:
                        weight.mul_(1 - case["learning_rate"][0] * spec.weight_decay)
            return super().step(closure)

    def build(_: Any, weights: list[Any]) -> AdamW:
        return AdamW(weights, **{**torch_adam.options(spec), "weight_decay": 0.0})

    return torch_tracing.trace_optimizer(build, torch_adam.slots, spec, case)


@partial(TechniqueBug, "decay left at the Keras default", PLAIN, "keras")
def default_decay(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(weight_decay=0.004), case)


@partial(TechniqueBug, "decay 0.1% too large", PLAIN, "keras")
def larger_decay(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(weight_decay=spec.weight_decay * 1.001), case)


@partial(TechniqueBug, "epsilon added before the bias correction", PLAIN, "keras")
def epsilon_before_correction(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon_convention="uncorrected"), case)


@partial(TechniqueBug, "epsilon 0.1% too large", PLAIN, "torch")
def larger_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=spec.epsilon * 1.001), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
