"""What a model's ReLUs give, wherever they stand in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

RELU = {torch.ops.aten.relu, torch.ops.aten.relu_}


def relus(model: nn.Module, inputs: Sequence[Any], reduce: Callable[..., Any]) -> list[tuple[str, Any]]:
    """`reduce(output, axis of the units)` of every ReLU of an evaluation, in order, with the name of its module."""
    found: list[tuple[str, Any]] = []
    before = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad(), _path(model) as path, _Dispatched(path, found, reduce):
            model.eval()(*inputs)
    finally:
        for module, training in before.items():
            module.training = training
    return found


class _Dispatched(TorchDispatchMode):
    """Inside, every ReLU is seen as the operation that it comes down to, be it a module or a function."""

    def __init__(self, path: list[str], found: list[tuple[str, Any]], reduce: Callable[..., Any]) -> None:
        super().__init__()
        self.path, self.found, self.reduce = path, found, reduce

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func.overloadpacket in RELU and output.ndim > 1:
            self.found.append((self.path[-1], self.reduce(output, 1 if output.ndim in (4, 5) else -1)))
        return output


@contextmanager
def _path(model: nn.Module) -> Iterator[list[str]]:
    """A list that ends in the name of the module that is being run."""
    path = ["model"]

    def leave(*_: Any) -> None:
        path.pop()

    handles = []
    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: path.append(name)))
            handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield path
    finally:
        for handle in handles:
            handle.remove()
