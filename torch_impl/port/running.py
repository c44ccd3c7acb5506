"""What has to hold around every run: nothing is drawn or dropped at random, and what is cast to float32 is not."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

NARROW, WIDE = torch.float32, torch.float64
EPSILON = torch.finfo(NARROW).eps
"""What an RMS norm without one takes in float32, which is what its user sees."""


def graded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is outside of any no_grad or inference_mode of its caller's."""
    found: Callable[..., Any] = torch.inference_mode(False)(torch.enable_grad()(function))
    return found


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
        if self.wide and name == "rms_norm" and kwargs.get("eps", args[3] if len(args) > 3 else None) is None:
            args, kwargs = args[:3], kwargs | {"eps": EPSILON}
        if self.wide and name in ("hardsigmoid", "hardsigmoid_"):
            return _hard_sigmoid(args[0], name.endswith("_") or any(args[1:]) or kwargs.get("inplace", False))
        if name in DROPPING:
            args, kwargs = _undropped(name, args, kwargs)
        return func(*args, **kwargs)


def _hard_sigmoid(x: Tensor, inplace: bool) -> Tensor:
    """The same, but for the sixth in its gradient, which PyTorch holds in float32."""
    result = torch.clamp(x + 3, 0, 6) / 6
    return x.copy_(result) if inplace else result


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
