"""Batch normalisation that keeps the biased variance, as Keras's does, so that all else can be compared in training."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import nn


@contextlib.contextmanager
def biased(model: nn.Module, paths: Collection[str]) -> Iterator[None]:
    """While this lasts, these layers move their running variance by the batch's biased variance, not the unbiased.

    PyTorch divides by one sample less than there are. What it has kept of the batch is known from the statistics before
    and after, and is scaled.
    """
    before: dict[nn.Module, torch.Tensor] = {}

    def note(module: Any, _: Any) -> None:
        before[module] = module.running_var.clone()

    def mend(module: Any, inputs: tuple[torch.Tensor, ...], _: Any) -> None:
        kept = before.pop(module)
        count = inputs[0].numel() / inputs[0].shape[1]
        if module.training and module.momentum and count > 1:
            old = (1 - module.momentum) * kept
            # through `data`, since autograd has saved the statistics, which no gradient in training depends on
            module.running_var.data.copy_(old + (module.running_var - old) * ((count - 1) / count))

    with contextlib.ExitStack() as hooks:
        for path in paths:
            module = model.get_submodule(path)
            hooks.callback(module.register_forward_pre_hook(note).remove)
            hooks.callback(module.register_forward_hook(mend).remove)
        yield
