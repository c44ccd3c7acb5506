"""Where the first number that is not finite came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..core.errors import ADVICE


def finite(values: Any) -> bool:
    """Whether all numbers in a tensor, or in tensors within tuples, lists and dictionaries, are finite."""
    if isinstance(values, torch.Tensor):
        return not values.is_floating_point() or bool(torch.isfinite(values).all())
    if isinstance(values, dict):
        values = tuple(values.values())
    return all(map(finite, values)) if isinstance(values, tuple | list) else True


def norm_of(gradients: list[torch.Tensor]) -> float:
    """The norm of all elements together. It is finite where they are, also where their squares are not."""
    norm = torch.nn.utils.get_total_norm(gradients)
    if not torch.isfinite(norm) and finite(gradients):
        largest = torch.stack([gradient.abs().max() for gradient in gradients]).max()
        norm = largest * torch.nn.utils.get_total_norm([gradient / largest for gradient in gradients])
    return norm.item()


def source(model: nn.Module, inputs: Any, again: Callable[[], Any]) -> str:
    """What first gives a number that is not finite when the network computes `again`, in words."""
    if not finite(inputs):
        return "the batch itself holds numbers that are not finite; mend the samples, or leave them out"
    for name, tensor in model.named_parameters():
        if not finite(tensor):
            return f"the weight {name} is not finite before the step; begin with weights that are"
    found: list[str] = []

    def hook(name: str) -> Callable[..., None]:
        def seen(_: nn.Module, args: Any, output: Any) -> None:
            if not found and finite(args) and not finite(output):
                found.append(name)

        return seen

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules() if name]
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad():
            again()
    finally:
        for handle in handles:
            handle.remove()
        for name, buffer in model.named_buffers():
            buffer.data.copy_(kept[name])
    told = f"the first layer that gives one is {found[0]}" if found else "every layer's output is finite"
    return f"{told}; {ADVICE}"
