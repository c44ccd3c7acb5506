"""A copy of a user's model in float64, which shares nothing with it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.prune import remove as remove_pruning
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def copied(model: nn.Module) -> nn.Module:
    """A copy that shares no tensor with the model."""
    memo: dict[int, Any] = {}
    for tensor in _computed(model):
        memo[id(tensor)] = tensor.detach().clone()
    model = getattr(model, "_orig_mod", model)  # what torch.compile has wrapped
    try:
        return copy.deepcopy(model, memo)
    except Exception:  # whatever an attribute that cannot be copied raises
        return _copied_apart(model)


def uncomputed(model: nn.Module) -> list[str]:
    """Let a weight that is computed from others, as by weight norm or a pruning, be held as it is; the names of those.

    Gradient descent on a weight's direction and length moves it otherwise than on the weight itself, which is all that
    the other framework holds.
    """
    model.eval()  # in training mode spectral norm moves whenever it is looked at
    found = []
    for path, module in model.named_modules():
        names = []
        for hook in list(module._forward_pre_hooks.values()):
            if isinstance(hook, WeightNorm | SpectralNorm):
                (remove_weight_norm if isinstance(hook, WeightNorm) else remove_spectral_norm)(module, hook.name)
                names.append(hook.name)
            elif isinstance(hook, BasePruningMethod):
                remove_pruning(module, hook._tensor_name)
                names.append(hook._tensor_name)
        if parametrize.is_parametrized(module):
            kind = type(module)  # a copy shares it with the user's module, from which the weight would be taken as well
            module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
            names += list(module.parametrizations)
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
        found += [f"{path}.{name}".lstrip(".") for name in names]
    return found


def halved(model: nn.Module) -> str:
    """The type of half precision in which a model holds weights, or nothing."""
    held = {tensor.dtype for tensor in (*model.parameters(), *model.buffers())}
    return next((str(kind).removeprefix("torch.") for kind in (torch.bfloat16, torch.float16) if kind in held), "")


def _computed(model: nn.Module) -> Iterator[Tensor]:
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                yield value


def _copied_apart(model: nn.Module) -> nn.Module:
    """Module by module; an attribute that cannot be copied is shared, as long as it is no tensor."""
    memo: dict[int, Any] = {id(module): type(module).__new__(type(module)) for module in model.modules()}
    memo |= {id(tensor): tensor.detach().clone() for tensor in _computed(model)}
    for module in model.modules():
        shell = vars(memo[id(module)])
        for name, value in vars(module).items():
            try:
                shell[name] = copy.deepcopy(value, memo)
            except Exception:  # such as a lock, a generator or an open file
                shell[name] = value
    found: nn.Module = memo[id(model)]
    return found


def raised(model: nn.Module) -> nn.Module:
    """The same module in float64, with every plain tensor that it holds."""
    model.cpu().double()
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor) and value.is_floating_point():
                setattr(module, name, value.detach().cpu().double())
    return model


def lowered(model: nn.Module) -> nn.Module:
    """The same module in float32, if it was in another precision."""
    return model.cpu().float()
