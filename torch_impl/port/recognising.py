"""A user's own module that computes what a known layer does, however it is written: found by its numbers.

The module is run with random weights on the input that it had, and on numbers that cover an activation's whole shape.
Only a result that is the same up to rounding counts, so nothing is taken for what it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.port.layer import Step
from .known import Kind, kind_of
from .tensors import COUNTER, kept
from .values import alike, is_float, tensor_of, tensors_in

EPSILONS = (1e-5, 1e-6, 1e-12, 1e-8, 1e-3)
ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], dict[str, Any]]] = {
    "relu": (F.relu, {}),
    "relu6": (F.relu6, {}),
    "sigmoid": (torch.sigmoid, {}),
    "tanh": (torch.tanh, {}),
    "silu": (F.silu, {}),
    "gelu": (F.gelu, {"approximate": "none"}),
    "tanh gelu": (lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"}),
    "hard_sigmoid": (F.hardsigmoid, {}),
    "hard_swish": (F.hardswish, {}),
    "mish": (F.mish, {}),
    "softsign": (F.softsign, {}),
}


def recognised(module: nn.Module, step: Step) -> Kind | None:
    """What a module without modules in it is, from a step in which it was called; None for nothing that is known."""
    inputs = [tensor for tensor in step.handle.inputs if is_float(tensor)]
    plain = len(step.inputs) == len(inputs) == len(step.outputs) == 1
    if kind_of(module) is not None or any(module.children()) or not plain or module.training:
        return None
    held = {name: tensor for name, tensor in _held(module)}
    if any(not is_float(tensor) for tensor in held.values()):
        return None
    with kept(module, weights=True), torch.no_grad():
        for tensor in held.values():
            tensor.copy_(torch.rand(tensor.shape, dtype=tensor.dtype) + 0.5)
        x = tensor_of(step.inputs[0], inputs[0].dtype)
        if not held:
            x = torch.linspace(-9, 9, x.numel(), dtype=x.dtype).reshape(x.shape)
        try:
            made = tensors_in(step.handle.target(*_with(step, x)))
        except Exception:  # what the module makes of other numbers is the user's own code's affair
            return None
        if len(made) != 1 or made[0] is x:
            return None
        tries = _tries(module, held, x) if held else _activations(x)
        return next((kind for kind, found in tries if alike(found, made[0])), None)


def _held(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from ((name, tensor) for name, tensor in module.named_buffers() if name != COUNTER)


def _with(step: Step, x: Tensor) -> tuple[Any, ...]:
    return tuple(x if isinstance(argument, Tensor) else argument for argument in step.handle.args)


def _activations(x: Tensor) -> Iterator[tuple[Kind, Tensor]]:
    for name, (function, values) in ACTIVATIONS.items():
        yield Kind(name.split()[-1], fixed=values), function(x)


def _tries(module: nn.Module, held: dict[str, Tensor], x: Tensor) -> Iterator[tuple[Kind, Tensor]]:
    flat = all(tensor.ndim == 1 and tensor.shape == next(iter(held.values())).shape for tensor in held.values())
    if "weight" in held and set(held) <= {"weight", "bias"} and held["weight"].ndim == 2:
        yield from _dense(held["weight"], held.get("bias"), x)
    elif flat and 1 <= len(held) <= 2:
        yield from _norms(module, held, x)


def _dense(weight: Tensor, bias: Tensor | None, x: Tensor) -> Iterator[tuple[Kind, Tensor]]:
    out, channels = weight.shape
    if channels == x.shape[-1] and (bias is None or bias.shape == (out,)):
        yield Kind("dense"), F.linear(x, weight, bias)
    if out == x.shape[-1] and (bias is None or bias.shape == (channels,)):
        yield Kind("transposed_dense"), F.linear(x, weight.T, bias)


def _norms(module: nn.Module, held: dict[str, Tensor], x: Tensor) -> Iterator[tuple[Kind, Tensor]]:
    size = next(iter(held.values())).shape[0]
    for axis in [axis for axis in (-1, 1) if x.ndim > 1 and x.shape[axis] == size]:
        moved = x.movedim(axis, -1)
        for attribute, epsilon in _epsilons(module):
            values = {"normalized_shape": (size,)} | ({} if attribute else {"eps": epsilon})
            renamed = {"eps": attribute} if attribute else {}
            if len(held) == 1:
                (gamma,) = held
                kinds = {"rms_norm": {"gamma": gamma}, "layer_norm": {"gamma": gamma}}
            else:
                one, other = held
                kinds = {"layer_norm": {"gamma": one, "beta": other}, "layer_norm ": {"gamma": other, "beta": one}}
            for role, slots in kinds.items():
                gamma, beta = held[slots["gamma"]], held.get(slots.get("beta", ""))
                if role == "rms_norm":
                    found = F.rms_norm(moved, (size,), gamma, epsilon)
                else:
                    found = F.layer_norm(moved, (size,), gamma, beta, epsilon)
                yield Kind(role.strip(), (), values, renamed, slots), found.movedim(-1, axis)


def _epsilons(module: nn.Module) -> Iterator[tuple[str, float]]:
    own = {name: value for name, value in vars(module).items() if isinstance(value, float) and 0 < value < 0.1}
    yield from own.items()
    if not own:
        yield from (("", epsilon) for epsilon in EPSILONS)
