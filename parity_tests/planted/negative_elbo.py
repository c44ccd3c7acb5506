"""Mistakes in writing the evidence lower bound."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

BERNOULLI, GAUSSIAN = registry.make("negative_elbo"), registry.make("negative_elbo_gaussian")


@partial(TechniqueBug, "KL term of the other sign", BERNOULLI, "torch")
def other_sign(trace: Any, spec: Any, case: Arrays) -> Arrays:
    found = trace(spec, case)
    signs = {"gradient of mean", "gradient of log_variance"}
    flipped = {name: -array if name in signs else array for name, array in found.items()}
    return {**flipped, "loss": found["reconstruction"] - found["kl"]}


@partial(TechniqueBug, "mean over pixels for the sum", BERNOULLI, "keras")
def mean_over_pixels(trace: Any, spec: Any, case: Arrays) -> Arrays:
    found, pixels = trace(spec, case), case["images"][0].size
    mean = found["reconstruction"] / pixels
    slope = found["gradient of decoded"] / pixels
    return {**found, "reconstruction": mean, "loss": mean + spec.beta * found["kl"], "gradient of decoded": slope}


@partial(TechniqueBug, "beta left out of the loss", GAUSSIAN, "keras")
def beta_left_out(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(beta=1.0), case)


@partial(TechniqueBug, "constant of the Gaussian left out", GAUSSIAN, "torch")
def constant_left_out(trace: Any, spec: Any, case: Arrays) -> Arrays:
    found = trace(spec, case)
    constant = case["images"][0].size * (np.log(spec.std) + 0.5 * np.log(2 * np.pi))
    return {**found, **{name: found[name] - constant for name in ("loss", "reconstruction")}}


@partial(TechniqueBug, "standard deviation for the variance", GAUSSIAN, "torch")
def deviation_for_variance(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(std=spec.std**0.5), case)


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
