"""One function standing for another: an activation, a pooling or a sum for what a step was."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from ...core.port.layer import Step
from ...core.port.roles import settings_of
from . import bordering
from .replaying import Call

Settings = Mapping[str, Any]


def varied(step: Step, value: Mapping[str, Any]) -> Step | None:
    """The step as what this says: `{"role": …}` and its settings; None where one cannot stand for the other."""
    role, told = value["role"], {name: item for name, item in value.items() if name != "role"}
    call = _changed(step, role, told)
    return None if call is None else dataclasses.replace(step, role=role, settings=told, handle=call)


def _changed(step: Step, role: str, told: Settings) -> Call | None:
    call: Call = step.handle
    if any(name not in told for name in settings_of(role)):
        return None
    if role in ACTIVATIONS and step.role in (*ACTIVATIONS, "custom"):
        alike = len(step.inputs) == 1 and step.inputs[0].shape == step.outputs[0].shape
        return alone(call, lambda x: ACTIVATIONS[role](x, told)) if alike else None
    if role in POOLS and step.role in POOLS:
        form = form_of(call)
        return alone(call, lambda x: bordering.pooled(role, x, dict(told), form))
    if role in WHOLE and step.role in WHOLE:
        shape = step.outputs[0].shape
        axes = tuple(bordering.axes_of(step.inputs[0], form_of(call)))
        if np.prod(shape) * np.prod([step.inputs[0].shape[axis] for axis in axes]) != step.inputs[0].size:
            return None
        return alone(call, lambda x: ops.reshape(WHOLE[role](x, axes), shape))
    if role in PAIRS and step.role in PAIRS and len(step.inputs) == 2:
        return alone(call, PAIRS[role])
    return None


def alone(call: Call, target: Callable[..., Any]) -> Call:
    """The call of a function of its inputs alone."""
    count = len(call.inputs)
    given = (tuple(call.inputs), {})
    return Call(lambda *args: target(*args[:count]), given, tensors=call.tensors, buffers=call.buffers)


def form_of(call: Call) -> str | None:
    """Where the channels are: None for the last axis."""
    if call.layer is not None:
        return getattr(call.layer, "data_format", None)
    word = inspect.signature(call.target).bind(*call.given[0], **call.given[1]).arguments.get("data_format")
    return "channels_first" if word is not None and str(word).startswith(("NC", "channels_first")) else None


POOLS = ("max_pool", "average_pool")
WHOLE: dict[str, Callable[[Any, Any], Any]] = {
    "global_max_pool": ops.max, "global_average_pool": ops.mean, "mean": ops.mean, "sum": ops.sum,
}  # fmt: skip
PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "add": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "divide": ops.divide,
}  # fmt: skip
ACTIVATIONS: dict[str, Callable[[Any, Settings], Any]] = {
    "relu": lambda x, told: ops.relu(x), "relu6": lambda x, told: ops.relu6(x),
    "sigmoid": lambda x, told: ops.sigmoid(x), "tanh": lambda x, told: ops.tanh(x),
    "silu": lambda x, told: ops.silu(x), "softplus": lambda x, told: ops.softplus(x),
    "softsign": lambda x, told: ops.softsign(x), "mish": lambda x, told: keras.activations.mish(x),
    "selu": lambda x, told: ops.selu(x), "hard_sigmoid": lambda x, told: ops.hard_sigmoid(x),
    "hard_swish": lambda x, told: ops.hard_silu(x), "log_sigmoid": lambda x, told: ops.log_sigmoid(x),
    "exponential": lambda x, told: ops.exp(x), "identity": lambda x, told: x,
    "gelu": lambda x, told: ops.gelu(x, approximate=told["approximate"]),
    "leaky_relu": lambda x, told: ops.leaky_relu(x, told["slope"]),
    "elu": lambda x, told: ops.elu(x, told["alpha"]),
    "softmax": lambda x, told: ops.softmax(x, told["axis"]),
    "log_softmax": lambda x, told: ops.log_softmax(x, told["axis"]),
}  # fmt: skip
