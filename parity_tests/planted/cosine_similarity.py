"""Mistakes in porting the cosine similarity."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from diglot.core import registry
from diglot.core.technique import Arrays

from . import TechniqueBug

PLAIN = registry.make("cosine_similarity")
LONG = registry.make("cosine_similarity_long")


@partial(TechniqueBug, "-cos for 1 - cos, as in Keras", PLAIN, "keras")
def negative(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {**result, "loss": result["loss"] - 1}


@partial(TechniqueBug, "cos, +1 being alike, minimised", PLAIN, "torch")
def towards_opposites(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, case)
    return {"loss": 1 - result["loss"], "gradient": -result["gradient"]}


@partial(TechniqueBug, "one angle for the whole batch", PLAIN, "keras")
def flattened(true: Any, spec: Any, case: Arrays) -> Arrays:
    result = true(spec, {name: array.reshape(1, -1) for name, array in case.items()})
    return {**result, "gradient": result["gradient"].reshape(case["outputs"].shape)}


@partial(TechniqueBug, "epsilon hidden from the gradient, as in PyTorch", LONG, "torch")
def hidden_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    outputs = torch.tensor(case["outputs"], requires_grad=True)
    similarity = torch.nn.CosineSimilarity(dim=-1, eps=spec.epsilon)
    loss = (1 - similarity(outputs, torch.tensor(case["targets"]))).mean()
    loss.backward()
    return {"loss": loss.detach().numpy(), "gradient": outputs.grad.numpy()}


@partial(TechniqueBug, "epsilon added to the lengths", LONG, "keras")
def added_epsilon(true: Any, spec: Any, case: Arrays) -> Arrays:
    x, y = (array / (np.linalg.norm(array, axis=-1, keepdims=True) + spec.epsilon) for array in case.values())
    return {**true(spec, case), "loss": np.asarray((1 - (x * y).sum(axis=-1)).mean())}


BUGS = tuple(found for found in vars().values() if isinstance(found, TechniqueBug))
