"""Mistakes in porting the mean squared error."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("mean_squared_error")


def rescaled(result: Arrays, factor: float) -> Arrays:
    """The loss and its gradient times a number."""
    return {name: array * factor for name, array in result.items()}


@partial(TechniqueBug, "factor of a half, as in the book", PLAIN, "torch")
def halved(true: Any, spec: Any, case: Arrays) -> Arrays:
    return rescaled(true(spec, case), 0.5)


@partial(TechniqueBug, "sum over the elements of a sample, mean over the batch", PLAIN, "keras")
def sum_within_samples(true: Any, spec: Any, case: Arrays) -> Arrays:
    return rescaled(true(spec, case), case["outputs"][0].size)


@partial(TechniqueBug, "outputs (N, 1) broadcast against targets (N)", PLAIN, "torch")
def broadcast(true: Any, spec: Any, case: Arrays) -> Arrays:
    error = case["outputs"].reshape(-1, 1) - case["targets"].reshape(-1)
    return {
        "loss": np.asarray((error**2).mean()),
        "gradient": (2 * error.sum(axis=1) / error.size).reshape(case["outputs"].shape),
    }


@partial(TechniqueBug, "root of the mean squared error", PLAIN, "keras")
def root(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    loss = np.sqrt(result["loss"])
    return {"loss": loss, "gradient": result["gradient"] / (2 * loss)}


@partial(TechniqueBug, "gradient with respect to the targets", PLAIN, "keras")
def of_targets(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {**true(spec, case), "gradient": -true(spec, case)["gradient"]}


@partial(TechniqueBug, "targets kept in float16", PLAIN, "torch")
def half_precision(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec, {**case, "targets": case["targets"].astype("float16").astype(case["targets"].dtype)})


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
