"""Weights that a module computes from other tensors: by a parametrization, or by a hook before each call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ...core import compare
from ...core.errors import StateError
from ...core.verdict import Verdict
from .values import array_of


def names(module: nn.Module) -> list[str]:
    """The attributes that are computed."""
    parametrized = list(module.parametrizations) if parametrize.is_parametrized(module) else []  # type: ignore[arg-type]
    return [*parametrized, *_hooks(module)]


def sources(module: nn.Module) -> set[str]:
    """The tensors of the module itself from which hooks compute."""
    found = set()
    for name, hook in _hooks(module).items():
        if isinstance(hook, WeightNorm):
            found |= {f"{name}_g", f"{name}_v"}
        else:
            found |= {f"{name}_orig", *((f"{name}_u", f"{name}_v") if isinstance(hook, SpectralNorm) else ())}
            found |= {f"{name}_mask"} if isinstance(hook, BasePruningMethod) else set()
    return found


def value(module: nn.Module, name: str) -> Tensor:
    """What is computed now. Nothing of the module moves, as a spectral norm does in training mode when it is read."""
    hook = _hooks(module).get(name)
    if isinstance(hook, WeightNorm):
        return hook.compute_weight(module)  # type: ignore[no-any-return]
    if isinstance(hook, SpectralNorm):
        return hook.compute_weight(module, do_power_iteration=False)  # type: ignore[no-any-return]
    if isinstance(hook, BasePruningMethod):
        return hook.apply_mask(module)
    modes = [(each, each.training) for each in module.parametrizations[name].modules()]  # type: ignore[union-attr, index]
    try:
        for each, _ in modes:
            each.training = False
        found: Tensor = getattr(module, name)
        return found
    finally:
        for each, training in modes:
            each.training = training


def assign(module: nn.Module, name: str, given: Tensor) -> None:
    """Let the computed weight be `given`, by way of what it is computed from.

    Raises StateError where no such tensors are known, as for a spectral norm whose weight has another norm than one.
    """
    hook = _hooks(module).get(name)
    if isinstance(hook, WeightNorm):
        length = given.norm() if hook.dim == -1 else torch.norm_except_dim(given, 2, hook.dim)
        module.get_parameter(f"{name}_g").copy_(length)
        module.get_parameter(f"{name}_v").copy_(given)
    elif hook is not None:
        module.get_parameter(f"{name}_orig").copy_(given)
    else:
        setattr(module, name, given)
    made = value(module, name)
    if not _comes_back(made, given):
        kind = type(hook).__name__ if hook is not None else "a parametrization"
        raise StateError(
            f"{name} of {type(module).__name__} is computed by {kind}, which cannot give the numbers it was to have; "
            "remove it first, or load what it is computed from",
            (name,),
        )


def _comes_back(made: Tensor, given: Tensor) -> bool:
    """Whether the two are the same but for rounding in the last places of the largest number."""
    if not given.numel():
        return True
    unit = torch.finfo(made.dtype).eps * float(given.abs().max())
    return compare.pair("", array_of(made), array_of(given.to(made.dtype)), unit).verdict is Verdict.EQUAL


def _hooks(module: nn.Module) -> dict[str, Any]:
    """The hooks that compute a weight before each call, by its name."""
    found: dict[str, Any] = {}
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm | SpectralNorm):
            found[hook.name] = hook
        elif isinstance(hook, BasePruningMethod):
            found[hook._tensor_name] = hook
    return found
