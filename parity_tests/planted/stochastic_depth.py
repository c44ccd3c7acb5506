"""Mistakes in porting stochastic depth."""

from __future__ import annotations

from functools import partial
from typing import Any

from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

HALF = registry.make("stochastic_depth")
# Not the rate of one half, of which the complement is the same.
LIGHT = registry.make("stochastic_depth_light")


def masked(spec: Any, case: Arrays, shape: tuple[int, ...]) -> Arrays:
    """Output and gradient under a mask of another shape."""
    keep = spec.noise().keep_mask("stochastic_depth", shape, spec.rate) / (1 - spec.rate)
    return {"training output": case["x"] * keep, "evaluation output": case["x"], "gradient": case["cotangent"] * keep}


@partial(TechniqueBug, "a draw for each element, as in dropout", HALF, "torch")
def every_element(true: Any, spec: Any, case: Arrays) -> Arrays:
    return masked(spec, case, case["x"].shape)


@partial(TechniqueBug, "one draw for the whole batch, as in the paper", HALF, "keras")
def whole_batch(true: Any, spec: Any, case: Arrays) -> Arrays:
    return masked(spec, case, (1, 1, 1, 1))


@partial(TechniqueBug, "a draw for each channel", HALF, "keras")
def every_channel(true: Any, spec: Any, case: Arrays) -> Arrays:
    return masked(spec, case, (len(case["x"]), 1, 1, case["x"].shape[-1]))


@partial(TechniqueBug, "survival probability for the drop probability", LIGHT, "torch")
def survival_probability(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(rate=1 - spec.rate), case)


@partial(TechniqueBug, "no scale in training", LIGHT, "keras")
def unscaled(true: Any, spec: Any, case: Arrays) -> Arrays:
    result, survival = true(spec, case), 1 - spec.rate
    return {
        **result,
        "training output": result["training output"] * survival,
        "gradient": result["gradient"] * survival,
    }


@partial(TechniqueBug, "scale in evaluation too, as in the paper", LIGHT, "torch")
def scaled_in_evaluation(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "evaluation output": result["evaluation output"] * (1 - spec.rate)}


@partial(TechniqueBug, "dropped in evaluation too", LIGHT, "keras")
def dropped_in_evaluation(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "evaluation output": result["training output"]}


@partial(TechniqueBug, "lost when exported in evaluation mode", HALF, "torch")
def lost(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {"training output": case["x"], "evaluation output": case["x"], "gradient": case["cotangent"]}


@partial(TechniqueBug, "gradient of a dropped branch that still flows", LIGHT, "keras")
def gradient_flows(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "gradient": case["cotangent"] / (1 - spec.rate)}


@partial(TechniqueBug, "rate 0.1% too large in the scale", LIGHT, "torch")
def larger_scale(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    factor = (1 - spec.rate) / (1 - spec.rate * 1.001)
    return {name: array if name == "evaluation output" else array * factor for name, array in result.items()}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
