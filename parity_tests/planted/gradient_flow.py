"""Mistakes in looking at gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("gradient_flow")
SAMPLE = registry.make("gradient_flow_sample")


def each(case: Arrays, statistic: Any) -> Any:
    """`statistic(gradient, before, after)` of every weight."""
    found = []
    for name in (key[2:] for key in case if key.startswith("g.")):
        gradient, before, after = (case[f"{kind}.{name}"] for kind in "gba")
        if name == "embedding":
            gradient = np.zeros_like(before)
            np.add.at(gradient, case["tokens"], case["g.embedding"])
        found.append(statistic(gradient, before, after))
    return np.array(found)


@partial(TechniqueBug, "deviation divided by n - 1", PLAIN, "torch")
def sample_for_population(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(deviation="sample"), case)


@partial(TechniqueBug, "deviation divided by n", SAMPLE, "keras")
def population_for_sample(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(deviation="population"), case)


@partial(TechniqueBug, "step relative to the weight after it", PLAIN, "keras")
def relative_to_after(true: Any, spec: Any, case: Arrays) -> Arrays:
    norm = np.linalg.norm
    wrong = each(case, lambda gradient, before, after: norm(after - before) / norm(after))
    return {**true(spec, case), "update": wrong}


@partial(TechniqueBug, "gradient relative to the weight for the step", PLAIN, "torch")
def gradient_for_step(true: Any, spec: Any, case: Arrays) -> Arrays:
    norm = np.linalg.norm
    return {**true(spec, case), "update": each(case, lambda gradient, before, after: norm(gradient) / norm(before))}


@partial(TechniqueBug, "norm of the mean element", PLAIN, "torch")
def root_mean_square(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "norm": each(case, lambda gradient, *_: np.sqrt(np.mean(gradient**2)))}


@partial(TechniqueBug, "share of weights that are zero", PLAIN, "keras")
def zeros_of_weights(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "zeros": each(case, lambda _, before, after: np.mean(before == 0))}


@partial(TechniqueBug, "norm of an embedding row by row", PLAIN, "keras")
def repeated_rows(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    norms = result["norm"].copy()
    norms[1] = np.linalg.norm(case["g.embedding"])
    return {**result, "norm": norms}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
