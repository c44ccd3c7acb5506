"""Mistakes in writing a diffusion process."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

LINEAR, COSINE = registry.make("gaussian_diffusion"), registry.make("gaussian_diffusion_cosine")
GUIDED, RANDOM = registry.make("gaussian_diffusion_guided"), registry.make("gaussian_diffusion_random")


@partial(TechniqueBug, "schedule off by one", LINEAR, "torch")
def off_by_one(trace: Any, spec: Any, case: Arrays) -> Arrays:
    later = np.minimum(case["times"] + 1, spec.timesteps - 1)
    return {**trace(spec, case), "noised": trace(spec, {**case, "times": later})["noised"]}


@partial(TechniqueBug, "linear schedule in float32", LINEAR, "keras")
def single_precision(trace: Any, spec: Any, case: Arrays) -> Arrays:
    betas = np.linspace(spec.beta_start, spec.beta_end, spec.timesteps, dtype=np.float32)
    return {**trace(spec, case), "betas": betas.astype(np.float64)}


@partial(TechniqueBug, "cosine schedule not clipped", COSINE, "keras")
def not_clipped(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(max_beta=1 - 2**-20), case)


@partial(TechniqueBug, "predicted image not clipped", RANDOM, "torch")
def image_not_clipped(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(clip_images=False), case)


@partial(TechniqueBug, "posterior variance for beta", GUIDED, "torch")
def posterior_for_beta(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(variance="posterior"), case)


@partial(TechniqueBug, "guidance of the other sign", GUIDED, "keras")
def other_sign(trace: Any, spec: Any, case: Arrays) -> Arrays:
    away = {"predicted": case["unconditional"], "unconditional": case["predicted"]}
    return {**trace(spec, case), "guided": trace(spec, {**case, **away})["guided"]}


@partial(TechniqueBug, "guidance from the prediction without the class", GUIDED, "torch")
def from_without(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(guidance=spec.guidance - 1), case)


@partial(TechniqueBug, "eta squared", GUIDED, "keras")
def eta_squared(trace: Any, spec: Any, case: Arrays) -> Arrays:
    return trace(spec.replace(eta=spec.eta**2), case)


@partial(TechniqueBug, "sampling starts a stride early", RANDOM, "keras")
def starts_early(trace: Any, spec: Any, case: Arrays) -> Arrays:
    strided = np.arange(spec.sampling_steps) * spec.timesteps // spec.sampling_steps
    return {**trace(spec, case), "sampled times": strided}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
