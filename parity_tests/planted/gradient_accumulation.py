"""Mistakes in accumulating gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

FOUR = registry.make("gradient_accumulation")
THREE = registry.make("gradient_accumulation_of_three")
DROPPED = registry.make("gradient_accumulation_dropped")


def trained(spec: Any, case: Arrays, mean: Callable[[list[Any], Sequence[int]], Any], carries: bool = False) -> Arrays:
    """The same training, where `mean` makes one gradient of those of the micro-batches and their sizes."""
    kernel, history, edges = case["kernel"], [], np.cumsum((0, *spec.SIZES))
    found: list[Any] = []
    sizes: list[int] = []
    for _ in range(spec.EPOCHS):
        for index, (first, last) in enumerate(itertools.pairwise(edges)):
            x, y = case["x"][first:last], case["y"][first:last]
            found.append(2 * x.T @ (x @ kernel - y) / y.size)
            sizes.append(int(last - first))
            full = len(found) == spec.micro_batches if carries else spec.due(index, len(spec.SIZES))
            if full:
                kernel = kernel - spec.RATE * mean(found, sizes)
                found, sizes = [], []
        history.append(kernel)
    return {"kernel": np.stack(history)}


@partial(TechniqueBug, "summed and not averaged", FOUR, "torch")
def summed(true: Any, spec: Any, case: Arrays) -> Arrays:
    return trained(spec, case, lambda gradients, sizes: sum(gradients))


@partial(TechniqueBug, "averaged twice", FOUR, "keras")
def averaged_twice(true: Any, spec: Any, case: Arrays) -> Arrays:
    return trained(spec, case, lambda gradients, sizes: np.mean(gradients, axis=0) / spec.micro_batches)


@partial(TechniqueBug, "an incomplete group divided by a complete one's number", THREE, "torch")
def divided_by_all(true: Any, spec: Any, case: Arrays) -> Arrays:
    return trained(spec, case, lambda gradients, sizes: sum(gradients) / spec.micro_batches)


@partial(TechniqueBug, "micro-batches weigh the same whatever their size", THREE, "keras")
def unweighted(true: Any, spec: Any, case: Arrays) -> Arrays:
    return trained(spec, case, lambda gradients, sizes: np.mean(gradients, axis=0))


@partial(TechniqueBug, "a group reaches into the next epoch", THREE, "keras")
def carried(true: Any, spec: Any, case: Arrays) -> Arrays:
    return trained(spec, case, lambda gradients, sizes: np.average(gradients, axis=0, weights=sizes), carries=True)


@partial(TechniqueBug, "an incomplete group steps where it should be dropped", DROPPED, "torch")
def not_dropped(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(incomplete="step"), case)


@partial(TechniqueBug, "gradients of the last group are not cleared", FOUR, "torch")
def not_cleared(true: Any, spec: Any, case: Arrays) -> Arrays:
    kept = np.zeros_like(case["kernel"])

    def mean(gradients: list[Any], sizes: Sequence[int]) -> Any:
        nonlocal kept
        kept = kept + np.average(gradients, axis=0, weights=sizes)
        return kept

    return trained(spec, case, mean)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
