"""Mistakes in porting batch normalisation."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

UNBIASED = registry.make("batch_norm")
BIASED = registry.make("batch_norm_biased")


@partial(TechniqueBug, "running variance divided by n", UNBIASED, "keras")
def biased_running_variance(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(running_variance="biased"), case)


@partial(TechniqueBug, "running variance divided by n - 1", BIASED, "torch")
def unbiased_running_variance(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(running_variance="unbiased"), case)


@partial(TechniqueBug, "epsilon 0.1% too large", UNBIASED, "torch")
def larger_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(epsilon=spec.epsilon * 1.001), case)


@partial(TechniqueBug, "momentum taken for its complement", UNBIASED, "keras")
def complementary_momentum(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(momentum=1 - spec.momentum), case)


@partial(TechniqueBug, "batch normalised by the unbiased variance", UNBIASED, "torch")
def unbiased_batch_variance(true: Any, spec: Any, case: Arrays) -> Arrays:
    x, axes = case["x"], (0, 1, 2)
    normal = (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes, ddof=1) + spec.epsilon)
    return {**true(spec, case), "training output": normal * case["gamma"] + case["beta"]}


@partial(TechniqueBug, "statistics of the batch in evaluation", BIASED, "keras")
def batch_statistics_in_evaluation(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "evaluation output": result["training output"]}


@partial(TechniqueBug, "running statistics never updated", BIASED, "torch")
def stale_statistics(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "mean": case["mean"], "variance": case["variance"]}


@partial(TechniqueBug, "gradient stopped at the batch statistics", UNBIASED, "keras")
def constant_statistics(true: Any, spec: Any, case: Arrays) -> Arrays:
    deviation = np.sqrt(case["x"].var(axis=(0, 1, 2)) + spec.epsilon)
    return {**true(spec, case), "gradient of x": case["cotangent"] * case["gamma"] / deviation}


@partial(TechniqueBug, "standard deviation kept for the variance", UNBIASED, "torch")
def deviation_kept(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    batch = (result["variance"] - (1 - spec.momentum) * case["variance"]) / spec.momentum
    kept = (1 - spec.momentum) * case["variance"] + spec.momentum * np.sqrt(batch)
    return {**result, "variance": kept}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
