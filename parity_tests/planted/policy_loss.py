"""Mistakes in writing the loss of a policy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN, ENTROPY = registry.make("policy_loss"), registry.make("policy_loss_entropy")


@partial(TechniqueBug, "entropy added", ENTROPY, "torch")
def entropy_added(trace: Any, spec: Any, case: Arrays) -> Arrays:
    found, without = trace(spec, case), trace(spec.replace(entropy_weight=0.0), case)
    names = ("loss", "gradient of logits")
    return {**found, **{name: 2 * without[name] - found[name] for name in names}}


@partial(TechniqueBug, "gradient through the advantages", PLAIN, "keras")
def through_the_advantages(trace: Any, spec: Any, case: Arrays) -> Arrays:
    powers = np.exp(case["logits"])
    taken = np.take_along_axis(powers / powers.sum(axis=1, keepdims=True), case["actions"][:, None], 1)[:, 0]
    return {**trace(spec, case), "gradient of advantages": -np.log(taken) / len(taken)}


@partial(TechniqueBug, "probability for its logarithm", PLAIN, "torch")
def probability(trace: Any, spec: Any, case: Arrays) -> Arrays:
    found = trace(spec, case)
    powers = np.exp(case["logits"])
    taken = np.take_along_axis(powers / powers.sum(axis=1, keepdims=True), case["actions"][:, None], 1)[:, 0]
    policy = -np.mean(taken * case["advantages"])
    return {**found, "policy": policy, "loss": found["loss"] - found["policy"] + policy}


@partial(TechniqueBug, "half the squared error of the values", ENTROPY, "keras")
def half_the_square(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(value_weight=0.5 * spec.value_weight), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
