"""Mistakes in porting Adam."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays
from diglot.keras_impl.techniques import adamw as keras_adamw

from . import TechniqueBug

PLAIN = registry.make("adam")
UNCORRECTED = registry.make("adam_uncorrected")
LARGE_EPSILON = registry.make("adam", epsilon=1e-3)
L2 = registry.make("adam_l2")
AMSGRAD = registry.make("adam_amsgrad")


def stepped(spec: Any, case: Arrays, correct: Any) -> Arrays:
    """The given steps by an Adam whose bias corrections are `correct(beta, step)`, written out."""
    result: Arrays = {}
    for name in (key[2:] for key in case if key.startswith("w.")):
        weight, history = case[f"w.{name}"], []
        m, v = np.zeros_like(weight), np.zeros_like(weight)
        for index, gradient in enumerate(case[f"g.{name}"]):
            m = spec.beta_1 * m + (1 - spec.beta_1) * gradient
            v = spec.beta_2 * v + (1 - spec.beta_2) * gradient**2
            m_hat, v_hat = m / correct(spec.beta_1, index + 1), v / correct(spec.beta_2, index + 1)
            weight = weight - case["learning_rate"][index] * m_hat / (np.sqrt(v_hat) + spec.epsilon)
            history.append(weight)
        result |= {name: np.stack(history), f"m of {name}": m, f"v of {name}": v}
    return result


@partial(TechniqueBug, "epsilon added before the bias correction", PLAIN, "keras")
def epsilon_before_correction(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon_convention="uncorrected"), case)


@partial(TechniqueBug, "epsilon added after the bias correction", UNCORRECTED, "torch")
def epsilon_after_correction(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon_convention="corrected"), case)


@partial(TechniqueBug, "epsilon 0.1% too large", LARGE_EPSILON, "torch")
def larger_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=spec.epsilon * 1.001), case)


@partial(TechniqueBug, "epsilon left at the Keras default", PLAIN, "keras")
def default_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=1e-7), case)


@partial(TechniqueBug, "bias correction missing", LARGE_EPSILON, "torch")
def no_correction(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, case) | stepped(spec, case, lambda beta, step: 1.0)


@partial(TechniqueBug, "steps of the bias correction one ahead", LARGE_EPSILON, "keras")
def correction_ahead(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, case) | stepped(spec, case, lambda beta, step: 1 - beta ** (step + 1))


@partial(TechniqueBug, "bias correction of the first moment only", PLAIN, "keras")
def half_correction(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, case) | stepped(spec, case, lambda beta, step: 1 - beta**step if beta == spec.beta_1 else 1.0)


@partial(TechniqueBug, "beta 2 of 0.99", PLAIN, "torch")
def other_beta(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(beta_2=0.99), case)


@partial(TechniqueBug, "betas swapped", PLAIN, "keras")
def swapped_betas(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(beta_1=spec.beta_2, beta_2=spec.beta_1), case)


@partial(TechniqueBug, "L2 left out", L2, "torch")
def no_decay(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(weight_decay=0.0), case)


@partial(TechniqueBug, "decoupled decay for L2", L2, "keras")
def decoupled_for_l2(true: Any, spec: Any, case: Arrays) -> Arrays:
    return keras_adamw.trace(registry.make("adamw", **spec.fields()), case)


@partial(TechniqueBug, "AMSGrad ignored", AMSGRAD, "keras")
def amsgrad_ignored(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec.replace(amsgrad=False), case)
    kept = {name.replace("v of", "v_max of"): array for name, array in result.items() if name.startswith("v of")}
    return {**result, **kept}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
