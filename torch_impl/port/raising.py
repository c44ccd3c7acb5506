"""A copy of a user's model in float64, and what has to hold around every run of it."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.overrides import TorchFunctionMode

NARROW, WIDE = torch.float32, torch.float64


@contextlib.contextmanager
def untouched(dtype: torch.dtype | None = None) -> Iterator[None]:
    """Random numbers go on afterwards as if nothing had been drawn, and so does the default type of numbers."""
    before, states = torch.get_default_dtype(), (random.getstate(), np.random.get_state())  # noqa: NPY002
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.backends.mha.set_fastpath_enabled(False)
            if dtype is not None:
                torch.set_default_dtype(dtype)
            yield
    finally:
        torch.set_default_dtype(before)
        torch.backends.mha.set_fastpath_enabled(fast)
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


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
    """Let a weight that is computed from others, as by weight norm, be held as it is; the names of those that were.

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
        if parametrize.is_parametrized(module):
            kind = type(module)  # a copy shares it with the user's module, from which the weight would be taken as well
            module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
            names += list(module.parametrizations)
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
        found += [f"{path}.{name}".lstrip(".") for name in names]
    return found


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
    """The same module in float64, with every plain tensor that it holds, and with what it would take from its type."""
    types = {module: _type(module) for module in model.modules()}
    model.cpu().double()
    for module, dtype in types.items():
        if isinstance(module, nn.RMSNorm) and module.eps is None:
            module.eps = torch.finfo(dtype).eps
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor) and value.is_floating_point():
                setattr(module, name, value.detach().cpu().double())
    return model


def lowered(model: nn.Module) -> nn.Module:
    """The same module in float32, if it was in another precision."""
    return model.cpu().float()


def _type(module: nn.Module) -> torch.dtype:
    return next((parameter.dtype for parameter in module.parameters() if parameter.is_floating_point()), NARROW)


class Raised(TorchFunctionMode):
    """Inside, what a model casts to or makes in float32 is float64, as the rest of it is.

    In training mode every function that drops numbers at random lets all of them through.
    """

    def __init__(self, wide: bool) -> None:
        super().__init__()
        self.wide = wide

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if self.wide:
            if func is Tensor.float:
                return args[0].double()
            args = tuple(WIDE if arg is NARROW else arg for arg in args)
            kwargs = {name: WIDE if value is NARROW else value for name, value in kwargs.items()}
        name = str(getattr(func, "__name__", ""))
        if name in DROPPING:
            args, kwargs = _undropped(name, args, kwargs)
        return func(*args, **kwargs)


DROPPING = {
    "dropout": 1, "dropout_": 1, "dropout1d": 1, "dropout2d": 1, "dropout3d": 1, "feature_dropout": 1,
    "feature_dropout_": 1, "alpha_dropout": 1, "alpha_dropout_": 1, "feature_alpha_dropout": 1,
    "feature_alpha_dropout_": 1, "scaled_dot_product_attention": 4, "rrelu": 3,
}  # fmt: skip
"""Where the rate is among a function's arguments."""


def _undropped(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    place = DROPPING[name]
    word = "dropout_p" if name.startswith("scaled") else "training" if name == "rrelu" else "p"
    value: Any = False if name == "rrelu" else 0.0
    if len(args) > place:
        return (*args[:place], value, *args[place + 1 :]), kwargs
    return args, kwargs | {word: value}


@contextlib.contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """In training mode, but for what drops at random; or in evaluation mode."""
    model.train(training)
    rates: list[tuple[nn.Module, str, Any]] = []
    if training:
        for module in model.modules():
            kind = type(module).__name__.lower()
            if not list(module.parameters()) and ("dropout" in kind or "droppath" in kind or "stochasticdepth" in kind):
                module.eval()
            elif isinstance(module, nn.MultiheadAttention | nn.RNNBase):
                rates.append((module, "dropout", module.dropout))
                module.dropout = 0.0
    try:
        yield
    finally:
        model.train(False)
        for module, name, value in rates:
            setattr(module, name, value)
