"""A stacked or bidirectional recurrent module as one call for each of its layers and directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Part:
    """One layer and direction, or, without `layer`, what joins the two directions of a layer, or drops behind it."""

    name: str
    layer: str
    target: Callable[..., Any]
    args: tuple[Any, ...]
    outputs: tuple[Tensor, ...]
    module: nn.Module | None = None
    function: str = ""
    role: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


class Backwards(nn.Module):
    """A recurrent module that reads from the end; its results are in the order of its inputs."""

    def __init__(self, inner: nn.RNNBase) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:  # (batch, time, channels), or time first
        axis = -2 if self.inner.batch_first or x.ndim == 2 else 0
        output, state = self.inner(x.flip(axis))
        return output.flip(axis), state


def unrolled(module: nn.RNNBase, path: str, args: tuple[Any, ...], outputs: list[Tensor]) -> list[Part]:
    """The parts in order; none where the module is one layer that goes forwards, or does more than its layers.

    The result of the last part is the one that the module itself gave, whose last bits may be others.
    """
    plain = len(args) < 2 or args[1] is None
    if not (module.num_layers > 1 or module.bidirectional) or not plain or not isinstance(args[0], Tensor):
        return []
    if module.proj_size:
        return []
    found: list[Part] = []
    x = args[0]
    for number in range(module.num_layers):
        made = []
        for direction in ("", "_reverse")[: 2 if module.bidirectional else 1]:
            inner = _single(module, x.shape[-1], f"_l{number}{direction}")
            target = Backwards(inner) if direction else inner
            result, state = target(x)
            name = f"{path}.l{number}{direction}".lstrip(".")
            states = tuple(state) if isinstance(state, tuple) else (state,)
            told = {"reversed": bool(direction)}
            found.append(Part(name, name, target, (x,), (result, *states), target, settings=told))
            made.append(result)
        x = made[0]
        if len(made) == 2:
            x = torch.cat(made, -1)
            name = f"{path}.l{number}:cat".lstrip(".")
            found.append(Part(name, "", _joined, (made,), (x,), None, "cat", "concatenate"))
        if number < module.num_layers - 1:
            name, dropped = f"{path}.l{number}:dropout".lstrip("."), F.dropout(x, training=False)
            told = {"rate": module.dropout, "broadcast": 0}
            found.append(Part(name, "", _kept, (x,), (dropped,), None, "dropout", "dropout", told))
            x = dropped
    found[-1].outputs = (outputs[0], *found[-1].outputs[1:])
    return found


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, -1)


def _kept(x: Tensor) -> Tensor:
    return F.dropout(x, training=False)


def _single(module: nn.RNNBase, channels: int, suffix: str) -> nn.RNNBase:
    """One layer and direction by itself, with the very same weights."""
    options: dict[str, Any] = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
    kind: Any = next(base for base in (nn.LSTM, nn.GRU, nn.RNN) if isinstance(module, base))
    with torch.device("meta"):
        single: nn.RNNBase = kind(
            channels, module.hidden_size, bias=module.bias, batch_first=module.batch_first, **options
        )
    for name in list(single._parameters):
        setattr(single, name, getattr(module, name.replace("_l0", suffix)))
    single.train(module.training)
    return single
