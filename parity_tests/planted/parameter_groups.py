"""Mistakes in giving groups of weights their own learning rate and decay."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import practice, registry
from diglot.core.technique import Arrays
from diglot.keras_impl import practice as keras_practice
from diglot.keras_impl.techniques import adamw as keras_adamw

from . import TechniqueBug

PLAIN = registry.make("parameter_groups")
MULTIPLIED = registry.make("parameter_groups_multipliers")


@partial(TechniqueBug, "decay on biases", PLAIN, "torch")
def decay_on_biases(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(no_decay=()), case)


@partial(TechniqueBug, "decay on biases, by a native exclusion that finds no such name", PLAIN, "keras")
def pattern_of_a_shell(true: Any, spec: Any, case: Arrays) -> Arrays:
    def build(optimizer: Any, weights: list[Any]) -> Any:
        found = keras_adamw.AdamW(weight_decay=optimizer.weight_decay, **keras_adamw.options(optimizer))
        found.exclude_from_weight_decay(var_names=["\\.bias"])  # the variables are conv_bias and dense_bias
        found.build(weights)
        return found

    return keras_practice.practise(build, keras_adamw.slots, spec.TRIED, case)


@partial(TechniqueBug, "last match instead of the first", MULTIPLIED, "keras")
def last_match(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(multipliers=spec.multipliers[::-1]), case)


@partial(TechniqueBug, "factor that a schedule overwrites", MULTIPLIED, "torch")
def factor_overwritten(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(multipliers=()), case)


@partial(TechniqueBug, "factor on the gradient instead of the rate", MULTIPLIED, "torch")
def factor_on_gradient(true: Any, spec: Any, case: Arrays) -> Arrays:
    shares = spec.shares(weight.name for weight in practice.WEIGHTS)
    kept: dict[str, Arrays] = {name: spec.TRIED.start(case[f"practice {name}"]) for name in shares}

    def update(name: str, weight: Any, gradient: Any, step: int, rate: float) -> Any:
        factor, decays = shares[name]
        own = spec.TRIED if decays else spec.TRIED.replace(weight_decay=0.0)
        weight, kept[name] = own.update(weight, factor * gradient, kept[name], step, rate)
        return weight

    losses, weights = practice.train(case, update)
    wrong = {f"practice {name}": np.asarray(weight) for name, weight in weights.items()}
    return {**true(spec, case), **losses, **wrong}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
