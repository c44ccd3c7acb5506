"""A recurrent layer step by step, with other activations or in the other direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.port.layer import Step
from .activations import activation
from .unrolling import Backwards


def rolled(step: Step, settings: Mapping[str, Any]) -> Callable[..., Any] | None:
    """What computes the step with these settings; None where its weights do not do for that."""
    found = step.handle.module
    module = found.inner if isinstance(found, Backwards) else found
    functions = [activation(settings.get(name, "tanh"), {}) for name in ("activation", "recurrent_activation")]
    if not isinstance(module, nn.RNNBase) or module.num_layers > 1 or module.bidirectional or None in functions:
        return None
    if (settings["bias"] and not module.bias) or step.inputs[0].ndim != 3:
        return None

    def run(x: Tensor, state: Any = None) -> Any:  # (batch, time, channels), or time first
        steps = x.transpose(0, 1) if module.batch_first else x
        steps = steps.flip(0) if settings["reversed"] else steps
        output, last = _loop(module, steps, state, functions, settings)
        output = output.flip(0) if settings["reversed"] and isinstance(found, Backwards) else output
        return output.transpose(0, 1) if module.batch_first else output, last

    return run


def _loop(module: Any, x: Tensor, state: Any, functions: list[Any], settings: Mapping[str, Any]) -> tuple[Tensor, Any]:
    zeros = torch.zeros(x.shape[1], module.hidden_size, dtype=x.dtype)
    lstm = isinstance(module, nn.LSTM)
    hidden = zeros if state is None else state[0][0] if lstm else state[0]
    cell = zeros if state is None or not lstm else state[1][0]
    made = []
    for each in x:
        hidden, cell = _once(module, each, hidden, cell, functions, settings)
        made.append(hidden)
    return torch.stack(made), (hidden[None], cell[None]) if lstm else hidden[None]


def _once(
    module: Any, x: Tensor, hidden: Tensor, cell: Tensor, functions: list[Any], settings: Mapping[str, Any]
) -> tuple[Tensor, Tensor]:
    outer, inner = functions
    given, held = (module.bias_ih_l0, module.bias_hh_l0) if settings["bias"] else (None, None)
    one, other = F.linear(x, module.weight_ih_l0, given), F.linear(hidden, module.weight_hh_l0, held)
    if isinstance(module, nn.LSTM):
        i, f, g, o = (one + other).chunk(4, -1)
        cell = inner(f) * cell + inner(i) * outer(g)
        return inner(o) * outer(cell), cell
    if isinstance(module, nn.GRU):
        gates = zip(one.chunk(3, -1), other.chunk(3, -1), strict=True)
        (r, r_held), (z, z_held), (n, n_held) = gates
        reset, update = inner(r + r_held), inner(z + z_held)
        if settings["reset_after"]:
            new = outer(n + reset * n_held)
        else:
            weight, size = module.weight_hh_l0, module.hidden_size
            new = outer(n + F.linear(reset * hidden, weight[2 * size :], None if held is None else held[2 * size :]))
        return update * hidden + (1 - update) * new, cell
    return outer(one + other), cell
