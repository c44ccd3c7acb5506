"""The inner loop of gradient-based meta-learning. See core/techniques/inner_loop.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from ...core.technique import Arrays
from ...core.techniques.inner_loop import InnerLoop as Spec

Weights = dict[str, torch.Tensor]


def build(spec: Spec) -> Callable[..., list[Weights]]:
    def adapt(loss: Callable[..., torch.Tensor], weights: Weights, batches: Iterable[Any]) -> list[Weights]:
        path = [weights]
        for batch in batches:
            slopes = torch.func.grad(loss)(path[-1], *batch)
            if spec.first_order:
                slopes = {name: slope.detach() for name, slope in slopes.items()}
            path.append({name: weight - spec.rate * slopes[name] for name, weight in path[-1].items()})
        return path

    return adapt


def trace(spec: Spec, case: Arrays) -> Arrays:
    given = {name: torch.tensor(array) for name, array in case.items()}
    weights = {name: given[name].requires_grad_() for name in ("kernel", "bias")}
    batches = list(zip(given["support inputs"], given["support targets"], strict=True))
    path = build(spec)(squared_error, weights, batches)
    support = [squared_error(weights, *batch) for weights, batch in zip(path, batches, strict=False)]
    query = squared_error(path[-1], given["query inputs"], given["query targets"])
    found = torch.autograd.grad(query, list(weights.values()))
    result = {"support losses": torch.stack(support), **path[-1], "query loss": query}
    result |= {f"gradient of {name}": gradient for name, gradient in zip(weights, found, strict=True)}
    return {name: tensor.detach().numpy() for name, tensor in result.items()}


def squared_error(weights: Weights, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (inputs @ weights["kernel"] + weights["bias"] - targets).square().mean()
