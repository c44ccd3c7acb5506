"""A module of one's own to work on: a copy of the user's, or what their factory makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.errors import InputError
from ...core.port.subject import Inputs
from .copying import copied
from .running import NARROW
from .values import arguments


def built(made: nn.Module | None, factory: Any, dtype: torch.dtype, inputs: Inputs) -> nn.Module:
    """A copy of a module, or a new one from a factory; with all its weights."""
    held = made if made is not None else _from_factory(factory)  # which may hold on to what it returns
    copy = held if isinstance(held, torch.jit.ScriptModule) else copied(held)
    if isinstance(copy, torch.jit.ScriptModule):
        raise InputError(
            "TorchScript has compiled the PyTorch model, so nothing in it can be seen; give the module itself"
        )
    if any(nn.parameter.is_lazy(tensor) for tensor in (*copy.parameters(), *copy.buffers())):
        if made is not None:
            dtype = NARROW
        args, kwargs = arguments(inputs, dtype)
        torch.set_default_dtype(dtype)
        try:
            with torch.no_grad():
                copy(*args, **kwargs)
        except Exception as error:  # whatever the user's own code raises
            raise InputError(refusal(inputs, error)) from error
        if any(nn.parameter.is_lazy(parameter) for parameter in copy.parameters()):
            raise InputError("the PyTorch model has weights without a shape, even after a run on these inputs")
    for name, tensor in (*copy.named_parameters(), *copy.named_buffers()):
        if tensor.is_meta:
            raise InputError(
                f"{name} of the PyTorch model is on the meta device, so it has no numbers; load them first"
            )
    return copy


def _from_factory(factory: Any) -> nn.Module:
    name = getattr(factory, "__qualname__", type(factory).__name__)
    try:
        made = factory()
    except Exception as error:  # whatever the user's own code raises
        raise InputError(f"{name}() raised {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise InputError(f"{name}() made {type(made).__name__}, which is no torch.nn.Module; let it return the model")
    return made


def refusal(inputs: Inputs, error: Exception, place: str = "") -> str:
    """A sentence on what a model raised, and at which of its modules."""
    given = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
    shapes = ", ".join(f"{name}: {np.asarray(array).dtype} {np.shape(array)}" for name, array in given)
    where = f" at {place}" if place else ""
    return f"the PyTorch model does not take these inputs ({shapes}){where}: {type(error).__name__}: {error}"
