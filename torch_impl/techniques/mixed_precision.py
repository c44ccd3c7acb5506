"""Mixed precision. See core/techniques/mixed_precision.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...core.errors import SpecError
from ...core.technique import Arrays
from ...core.techniques.mixed_precision import MixedPrecision as Spec

LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dense": (nn.Linear(8, 8), (4, 8)),
    "convolution": (nn.Conv2d(4, 4, 3), (2, 4, 6, 6)),
    "batch normalisation": (nn.BatchNorm2d(4), (2, 4, 6, 6)),
    "layer normalisation": (nn.LayerNorm(8), (4, 8)),
    "ReLU": (nn.ReLU(), (4, 8)),
    "GELU": (nn.GELU(), (4, 8)),
    "softmax": (nn.Softmax(-1), (4, 8)),
    "max pooling": (nn.MaxPool2d(2), (2, 4, 6, 6)),
    "dropout": (nn.Dropout(0.5), (4, 8)),
}


class Scaler(torch.amp.GradScaler):
    """`GradScaler` that remembers whether the last step was taken."""

    stepped = True

    def step(self, optimizer: torch.optim.Optimizer, *args: Any, **options: Any) -> float | None:
        self.stepped = False
        handle = optimizer.register_step_post_hook(self._note)
        try:
            return super().step(optimizer, *args, **options)
        finally:
            handle.remove()

    def _note(self, *_: Any) -> None:
        self.stepped = True


def build(spec: Spec, optimizer: torch.optim.Optimizer) -> Scaler:
    device = optimizer.param_groups[0]["params"][0].device.type
    return Scaler(
        device,
        init_scale=spec.initial_scale,
        growth_factor=spec.growth_factor,
        backoff_factor=spec.backoff_factor,
        growth_interval=spec.growth_interval,
        enabled=spec.scaled,
    )


@contextlib.contextmanager
def lowered(spec: Spec, model: nn.Module) -> Iterator[None]:
    """Inside, the operations of a float32 model are lowered; float64 stays float64, as `autocast` leaves it.

    Raises SpecError where the model's device does not have the precision.
    """
    device = next(model.parameters()).device
    dtype = getattr(torch, spec.dtype)
    try:
        torch.ones(1, 1, dtype=dtype, device=device) @ torch.ones(1, 1, dtype=dtype, device=device)
    except (RuntimeError, TypeError) as error:
        raise SpecError(f"{spec.name}: {device.type} has no {spec.dtype}; set another dtype, or none") from error
    with torch.autocast(device.type, dtype):
        yield


def kept(spec: Spec, given: str = "float32") -> dict[str, str]:
    """In which precision each usual layer answers, when it is given this one; and a loss, and the weights."""
    result = {}
    for name, (layer, shape) in LAYERS.items():
        with lowered(spec, LAYERS["dense"][0]), torch.no_grad():
            answer = layer(torch.ones(shape, dtype=getattr(torch, given)))
        result[name] = str(answer.dtype).removeprefix("torch.")
    with lowered(spec, LAYERS["dense"][0]), torch.no_grad():
        loss = functional.cross_entropy(torch.ones(4, 8, dtype=getattr(torch, given)), torch.zeros(4).long())
    weight = str(LAYERS["dense"][0].weight.dtype).removeprefix("torch.")
    return {**result, "cross-entropy": str(loss.dtype).removeprefix("torch."), "weights": weight}


def trace(spec: Spec, case: Arrays) -> Arrays:
    weight = nn.Parameter(torch.tensor(case["weight"]))
    optimizer = torch.optim.SGD([weight], lr=spec.RATE)
    scaler, scales, taken = build(spec, optimizer), [], []
    for gradient, overflow in zip(case["gradients"], case["overflow"], strict=True):
        value = (weight * torch.tensor(gradient)).sum() * (float("inf") if overflow else 1.0)
        optimizer.zero_grad()
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
        taken.append(scaler.stepped)
    result = {"weight": weight.detach().numpy(), "scale": np.array(scales), "steps taken": np.cumsum(taken)}
    return {**result, **_network(spec, case)}


def _network(spec: Spec, case: Arrays) -> Arrays:
    hidden, output = nn.Linear(12, 8, bias=False), nn.Linear(8, 3, bias=False)
    for name, layer in {"hidden": hidden, "output": output}.items():
        layer.weight = nn.Parameter(torch.tensor(case[name].T.copy()))  # (in, out) -> (out, in)
    network = nn.Sequential(hidden, nn.Tanh(), output)
    with lowered(spec, network):
        loss = functional.cross_entropy(network(torch.tensor(case["x"])), torch.tensor(case["targets"]))
    loss.backward()
    gradients = {"hidden": hidden.weight.grad, "output": output.weight.grad}
    found = {f"gradient of {name}": gradient.T.numpy() for name, gradient in gradients.items()}
    return {"loss": loss.detach().numpy(), **found}
