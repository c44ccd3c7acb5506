"""Mistakes in writing returns and advantages."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN, NORMALISED = registry.make("advantages"), registry.make("advantages_normalised")
MONTE_CARLO = registry.make("advantages_monte_carlo")


@partial(TechniqueBug, "cut episode taken for a terminated one", PLAIN, "torch")
def cut_for_terminated(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec, {**case, "terminated": case["ended"]})


@partial(TechniqueBug, "returns not reset where an episode ends", MONTE_CARLO, "keras")
def not_reset(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec, {**case, "ended": np.zeros_like(case["ended"])})


@partial(TechniqueBug, "lambda for gamma", NORMALISED, "keras")
def lambda_for_gamma(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(discount=spec.gae_lambda, gae_lambda=spec.discount), case)


@partial(TechniqueBug, "deviation over N - 1", NORMALISED, "torch")
def sample_deviation(trace: Any, spec: Any, case: Arrays) -> Arrays:
    plain = trace(spec.replace(normalised=False), case)
    advantages = plain["advantages"]
    scale = advantages.std(ddof=1) + spec.epsilon
    return {**plain, "advantages": (advantages - advantages.mean()) / scale}


@partial(TechniqueBug, "last step without its next value", PLAIN, "keras")
def last_without_next(trace: Any, spec: Any, case: Arrays) -> Arrays:
    following = case["next_values"].copy()
    following[-1] = 0.0
    return trace(spec, {**case, "next_values": following})


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
