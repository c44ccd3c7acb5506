"""How a loss is run on a case, and what the losses ask of their tensors. See core/loss.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..core.loss import Loss, require_one_shape, require_one_weight_each
from ..core.technique import Arrays


def same_shape(name: str, outputs: Any, targets: Any) -> None:
    """Raises InputError for outputs and targets of two shapes."""
    require_one_shape(name, tuple(outputs.shape), tuple(targets.shape))


def one_weight_each(name: str, weights: Any, logits: Any) -> None:
    """Raises InputError for class weights of another number than the classes."""
    require_one_weight_each(name, weights, logits.shape[-1])


def trace_loss(build: Callable[..., Any], spec: Loss, case: Arrays) -> Arrays:
    """The loss, and its gradient with respect to the output."""
    outputs = torch.tensor(case[spec.OUTPUT], requires_grad=True)
    loss = build(spec)(outputs, torch.tensor(case["targets"]))
    (gradient,) = torch.autograd.grad(loss, outputs)
    return {"loss": loss.detach().numpy(), "gradient": gradient.numpy()}
