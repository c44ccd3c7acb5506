"""Mistakes in porting the Huber loss."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("huber")
NARROW = registry.make("huber_narrow")


@partial(TechniqueBug, "SmoothL1Loss(beta) for HuberLoss(delta)", NARROW, "torch")
def smooth_l1(true: Any, spec: Any, case: Arrays) -> Arrays:
    outputs = torch.tensor(case["outputs"], requires_grad=True)
    loss = torch.nn.SmoothL1Loss(beta=spec.delta)(outputs, torch.tensor(case["targets"]))
    loss.backward()
    return {"loss": loss.detach().numpy(), "gradient": outputs.grad.numpy()}


@partial(TechniqueBug, "delta left at the framework's default", NARROW, "keras")
def default_delta(true: Any, spec: Any, case: Arrays) -> Arrays:
    return true(spec.replace(delta=1.0), case)


@partial(TechniqueBug, "parabola without its half", PLAIN, "torch")
def without_half(true: Any, spec: Any, case: Arrays) -> Arrays:
    return {name: 2 * array for name, array in true(spec, case).items()}


@partial(TechniqueBug, "line that does not meet the parabola", PLAIN, "keras")
def unjoined(true: Any, spec: Any, case: Arrays) -> Arrays:
    far = abs(case["outputs"] - case["targets"]) > spec.delta
    result = true(spec, case)
    return {**result, "loss": result["loss"] + spec.delta**2 / 2 * far.mean()}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
