"""Mistakes in averaging weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN, WARM = registry.make("exponential_moving_average"), registry.make("exponential_moving_average_warmup")


@partial(TechniqueBug, "biased towards zero", PLAIN, "torch")
def biased(trace: Any, spec: Any, case: Arrays) -> Arrays:
    from_zero = {name: np.concatenate([np.zeros_like(array[:1]), array]) for name, array in case.items()}
    return {name: array[1:] for name, array in trace(spec, from_zero).items()}


@partial(TechniqueBug, "decay of the other share", PLAIN, "keras")
def other_share(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(decay=1 - spec.decay), case)


@partial(TechniqueBug, "warm-up left out", WARM, "torch")
def no_warmup(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(warmup=False), case)


@partial(TechniqueBug, "warm-up one update early", WARM, "keras")
def one_early(trace: Any, spec: Any, case: Arrays) -> Arrays:
    earlier = {name: np.concatenate([array[:1], array]) for name, array in case.items()}
    return {name: array[1:] for name, array in trace(spec, earlier).items()}


@partial(TechniqueBug, "warm-up one update late", WARM, "torch")
def one_late(trace: Any, spec: Any, case: Arrays) -> Arrays:
    result = trace(spec, case)
    for name, weights in case.items():
        averages = [weights[0]]
        for update in range(1, len(weights)):
            rate = min(spec.decay, update / (9 + update))
            averages.append(rate * averages[-1] + (1 - rate) * weights[update])
        result[name] = np.stack(averages)
    return result


def skipping(trace: Any, spec: Any, case: Arrays) -> Arrays:
    """The sixth step has been skipped, as of a gradient that overflows: its weights are there twice."""
    twice = {name: np.insert(array, 5, array[4], axis=0) for name, array in case.items()}
    return {name: np.delete(array, 5, axis=0) for name, array in trace(spec, twice).items()}


@partial(TechniqueBug, "average moved at a skipped step", PLAIN, "torch")
def moved_when_skipped(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return skipping(trace, spec, case)


@partial(TechniqueBug, "skipped step counted in the warm-up", WARM, "keras")
def counted_when_skipped(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return skipping(trace, spec, case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
