"""A step with another value of one of its settings, to be replayed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...core.port.layer import Step
from . import arguing, functional, masking, rolling, windows
from .activations import activation
from .watching import Call

METHODS = {"nearest": "nearest", "bicubic": "bicubic", "area": "area"}
Changed = Callable[..., Any]


def varied(step: Step, setting: str, value: Any) -> Step | None:
    """The step with another value, or None where PyTorch cannot compute that."""
    found = _changed(step, setting, value)
    if found is None:
        return None
    call = found if isinstance(found, Call) else dataclasses.replace(step.handle, target=found)
    if setting == "role":
        return dataclasses.replace(step, role=value["role"], settings=_without_role(value), handle=call)
    return dataclasses.replace(step, settings={**step.settings, setting: value}, handle=call)


def _without_role(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != "role"}


def _changed(step: Step, setting: str, value: Any) -> Changed | Call | None:
    if setting == "role":
        return _another(step, value)
    special = SPECIAL.get(step.role, {}).get(setting)
    if special is not None:
        return special(step, value)
    plain = PLAIN.get((step.role, setting)) or PLAIN.get(("", setting))
    if plain is None:
        return None
    word, convert = plain
    return _set(step.handle, {word: convert(value, step)})


def _set(call: Call, changes: Mapping[str, Any]) -> Call | None:
    """The same call with other values of its parameters, or of its module's attributes."""
    if call.module is None:
        if call.name not in functional.FUNCTIONS or not set(changes) <= set(functional.FUNCTIONS[call.name][1]):
            return None
        args, kwargs = arguing.rebound(call.name, call.args, call.kwargs, **changes)
        return dataclasses.replace(call, args=args, kwargs=kwargs)
    if not all(hasattr(call.module, call.renamed.get(word, word)) for word in changes):
        return None
    module = copy.copy(call.module)
    for word, value in changes.items():
        setattr(module, call.renamed.get(word, word), value)
    return dataclasses.replace(call, target=module, module=module)


def _another(step: Step, value: Mapping[str, Any]) -> Changed | None:
    """Another function in the place of an elementwise one."""
    if step.handle.weights or len(step.inputs) != 1:
        return None
    if step.handle.module is not None and any(True for _ in step.handle.module.parameters()):
        return None
    if activation(step.role, step.settings) is None and step.role != "identity":
        return None
    function = activation(value["role"], value)
    return None if function is None else lambda x, *args, **kwargs: function(x)


def _axis(value: int, step: Step) -> int:
    """An axis of the canonical layout in PyTorch's, for a feature map; otherwise it is the same."""
    rank = step.inputs[0].ndim
    if rank < 4 or value % rank == 0:
        return value
    return 1 if value % rank == rank - 1 else value % rank + 1


def _same(value: Any, step: Step) -> Any:
    return value


# The parameter that a setting is, and what becomes of its value; by role, or for all roles.
PLAIN: dict[tuple[str, str], tuple[str, Callable[[Any, Step], Any]]] = {
    ("", "epsilon"): ("eps", _same),
    ("batch_norm", "momentum"): ("momentum", lambda value, step: None if isinstance(value, str) else 1 - value),
    ("gelu", "approximate"): ("approximate", lambda value, step: "tanh" if value else "none"),
    ("leaky_relu", "slope"): ("negative_slope", _same),
    ("elu", "alpha"): ("alpha", _same),
    ("softmax", "axis"): ("dim", _axis),
    ("log_softmax", "axis"): ("dim", _axis),
    ("dropout", "rate"): ("p", _same),
    ("group_norm", "groups"): ("num_groups", _same),
    ("variance", "unbiased"): ("unbiased", _same),
}


Computing = Callable[[Step, Mapping[str, Any]], Changed | None]


def _by(computing: Computing, *settings: str) -> dict[str, Callable[[Step, Any], Changed | None]]:
    """For each of these settings, what computes the step from all of its settings."""

    def of(setting: str) -> Callable[[Step, Any], Changed | None]:
        return lambda step, value: computing(step, {**step.settings, setting: value})

    return {setting: of(setting) for setting in settings}


def _unbiased(step: Step, value: Any) -> Changed | None:
    """The running variance that a batch norm of the other kind would keep."""
    module: Any = step.handle.module
    if not isinstance(module, nn.modules.batchnorm._BatchNorm) or not module.track_running_stats:
        return None

    def run(x: Tensor) -> Any:
        before = module.running_var.clone()
        result = module(x)
        if module.training:
            count = x.numel() // x.shape[1]
            factor = (count - 1) / count if not value else 1.0
            share = 1 / int(module.num_batches_tracked) if module.momentum is None else module.momentum
            with torch.no_grad():
                new = (module.running_var - (1 - share) * before) / share
                module.running_var.copy_((1 - share) * before + share * factor * new)
        return result

    return run


def _frozen(step: Step, value: Any) -> Changed | None:
    module = step.handle.module
    if not isinstance(module, nn.modules.batchnorm._BatchNorm):
        return None

    def run(x: Tensor) -> Any:
        other = copy.copy(module)
        other.training = module.training and not value
        return other(x)

    return run


def _biased(step: Step, value: Any) -> Changed | Call | None:
    """Without the bias that it has; one that it has not cannot be added."""
    module = step.handle.module
    if value or not step.settings.get("bias"):
        return None
    if module is None:
        return _set(step.handle, {"bias": None})
    return (lambda x: nn.functional.linear(x, module.weight)) if isinstance(module, nn.Linear) else None


def _last_axes(step: Step, value: Any) -> Changed | None:
    """A layer norm over another number of the last axes, its weights given to the last of them."""
    module: Any = step.handle.module
    if not isinstance(module, nn.LayerNorm):
        return None

    def run(x: Tensor) -> Tensor:
        found = nn.functional.layer_norm(x, x.shape[-value:], None, None, module.eps)
        found = found if module.weight is None else found * module.weight
        return found if module.bias is None else found + module.bias

    return run


def _upsampled(step: Step, settings: Mapping[str, Any]) -> Changed | None:
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(settings["factor"])]
    mode = linear if settings["method"] == "bilinear" else METHODS.get(settings["method"])
    if mode is None:
        return None
    aligned = settings["aligned"] if mode in (linear, "bicubic") else None

    def run(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sizes = [int(size * factor) for size, factor in zip(x.shape[2:], settings["factor"], strict=True)]
        return nn.functional.interpolate(x, size=sizes, mode=mode, align_corners=aligned)

    return run


def _zero_pad(step: Step, value: Any) -> Changed:
    return lambda x, *args, **kwargs: nn.functional.pad(x, windows.flat(value))


def _bordered(step: Step, settings: Mapping[str, Any]) -> Changed | None:
    mode, padding = settings["mode"], windows.flat(settings["padding"])
    if not isinstance(mode, str):
        return lambda x, *args, **kwargs: nn.functional.pad(x, padding, value=mode)
    if mode not in windows.MODES:
        return None
    return lambda x, *args, **kwargs: nn.functional.pad(x, padding, mode=windows.MODES[mode])


CONVOLUTION = _by(windows.convolved, "strides", "padding", "dilation", "bias", "padding_mode")
POOL = _by(windows.pooled, "window", "strides", "padding", "dilation", "counts_padding")
RECURRENT = _by(rolling.rolled, "activation", "recurrent_activation", "bias", "reset_after", "reversed")
SPECIAL: dict[str, Mapping[str, Callable[[Step, Any], Changed | Call | None]]] = {
    "convolution": CONVOLUTION,
    "depthwise_convolution": CONVOLUTION,
    "transposed_convolution": CONVOLUTION,
    "max_pool": POOL,
    "average_pool": POOL,
    "lstm": RECURRENT,
    "gru": RECURRENT,
    "rnn": RECURRENT,
    "attention": _by(masking.attended, "heads", "scale", "causal", "masked"),
    "scaled_dot_product_attention": _by(masking.dotted, "scale", "causal", "masked"),
    "batch_norm": {"unbiased": _unbiased, "frozen": _frozen},
    "dense": {"bias": _biased},
    "layer_norm": {"axes": _last_axes},
    "upsample": _by(_upsampled, "factor", "method", "aligned"),
    "zero_pad": {"padding": _zero_pad},
    "pad": _by(_bordered, "padding", "mode"),
}
