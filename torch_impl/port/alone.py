"""One step alone, with other inputs than it had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ...core.errors import InputError
from ...core.technique import Arrays
from . import arguing
from .tensors import Tensors
from .values import array_of, is_float, replaced, tensor_of, tensors_in
from .watching import Call


def replayed(
    call: Call, tensors: Tensors, inputs: Sequence[NDArray[Any]], cotangent: NDArray[Any] | None, dtype: torch.dtype,
    training: bool,
) -> Arrays:  # fmt: skip
    """`output`, `input i` and the gradients by name, as the Protocol says. Buffers may move."""
    one = {id(array): tensor_of(array, dtype) for array in inputs}  # one tensor that is given twice, as it was before
    leaves = [one[id(array)] if cotangent is None else tensor_of(array, dtype) for array in inputs]
    floats = [leaf.requires_grad_() for leaf in leaves if is_float(leaf)] if cotangent is not None else []
    with torch.set_grad_enabled(cotangent is not None):
        given = iter(leaves if cotangent is None else [leaf.clone() if is_float(leaf) else leaf for leaf in leaves])
        result = called(call, given, training)
        every = list(tensors_in(result))
        output = next((tensor for tensor in every if is_float(tensor)), every[0])
    found = {"output": array_of(output)}
    if cotangent is None:
        return found
    weights = held(call, tensors)
    wanted = [*floats, *weights.values()]
    gradients = pulled([output], [tensor_of(cotangent, output.dtype)], wanted)
    names = [f"input {i}" for i, leaf in enumerate(leaves) if is_float(leaf)] + list(weights)
    return found | dict(zip(names, map(array_of, gradients), strict=True))


def called(call: Call, given: Iterator[Tensor], training: bool) -> Any:
    """The result of a call with these tensors in the places of its inputs."""
    inputs = {id(tensor) for tensor in call.inputs}

    def change(tensor: Tensor) -> Tensor:
        return next(given) if id(tensor) in inputs else tensor

    args, kwargs = call.args, call.kwargs
    if call.name in ("batch_norm", "instance_norm"):
        mode = {"batch_norm": "training", "instance_norm": "use_input_stats"}[call.name]
        if training:
            args, kwargs = arguing.rebound(call.name, args, kwargs, **{mode: True})
    return call.target(*replaced(args, change), **replaced(kwargs, change))


def held(call: Call, tensors: Tensors) -> dict[str, Tensor]:
    """The trainable tensors of what a step called, by name."""
    if call.module is None:
        return {name: tensors[name].get() for name in call.weights if not tensors[name].buffer}
    modules = list(call.module.modules())
    own, parameters = {id(each._parameters) for each in modules}, {id(each) for each in call.module.parameters()}
    places = {name: place for name, place in tensors.items() if not place.buffer and is_float(place.get())}
    return {
        name: place.get()
        for name, place in places.items()
        if id(place.module._parameters) in own or id(place.get()) in parameters
    }


def pulled(outputs: Sequence[Tensor], cotangents: Sequence[Tensor], wanted: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of the sum of <output, cotangent>; zeros for what no output depends on.

    Raises InputError where PyTorch cannot take them.
    """
    pairs = [(output, cotangent) for output, cotangent in zip(outputs, cotangents, strict=True) if output.requires_grad]
    if not pairs or not wanted:
        return [torch.zeros_like(tensor) for tensor in wanted]
    try:
        found = torch.autograd.grad(
            [output for output, _ in pairs], list(wanted), [cotangent for _, cotangent in pairs], allow_unused=True
        )
    except RuntimeError as error:  # such as a function without a backward pass, or a reentrant checkpoint
        raise InputError(f"the gradients of the PyTorch model cannot be taken: {error}") from error
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(wanted, found, strict=True)
    ]
