"""Mistakes in porting dropout."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

# Not the rate of one half, of which the complement is the same.
LIGHT = registry.make("dropout_light")


@partial(TechniqueBug, "no scale in training", LIGHT, "torch")
def unscaled(true: Any, spec: Any, case: Arrays) -> Arrays:
    result, keep = true(spec, case), 1 - spec.rate
    return {
        **result,
        "training output": result["training output"] * keep,
        "gradient": result["gradient"] * keep,
    }


@partial(TechniqueBug, "scale in evaluation too", LIGHT, "keras")
def scaled_in_evaluation(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "evaluation output": result["evaluation output"] * (1 - spec.rate)}


@partial(TechniqueBug, "keep probability for the drop probability", LIGHT, "keras")
def keep_probability(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(rate=1 - spec.rate), case)


@partial(TechniqueBug, "dropout in evaluation too", LIGHT, "torch")
def dropout_in_evaluation(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "evaluation output": result["training output"]}


@partial(TechniqueBug, "gradient that does not pass through the mask", LIGHT, "keras")
def unmasked_gradient(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "gradient": case["cotangent"]}


@partial(TechniqueBug, "rate 0.1% too large in the scale", LIGHT, "torch")
def larger_scale(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    factor = (1 - spec.rate) / (1 - spec.rate * 1.001)
    return {**result, "training output": result["training output"] * factor}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
