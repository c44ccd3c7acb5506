"""Initial values of weights. See core/techniques/weight_initializer.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import init

from ...core.technique import Arrays
from ...core.techniques.weight_initializer import CUT
from ...core.techniques.weight_initializer import WeightInitializer as Spec
from ..layout import to_canonical, to_native


def spread(spec: Spec, shape: tuple[int, ...]) -> float:
    """What the standard draws are multiplied by, from PyTorch's own fans of a kernel and its gain of a rectifier."""
    fans = init._calculate_fan_in_and_fan_out(torch.empty(shape, device="meta"))
    rectified = init.calculate_gain("leaky_relu", spec.negative_slope) if spec.distribution.startswith("he") else 1.0
    return spec.spread(*fans, spec.gain * rectified)


def fill(spec: Spec, shape: tuple[int, ...], draws: Any) -> torch.Tensor:
    """The initial values of a kernel that standard draws of this shape become, both in PyTorch's layout."""
    if spec.distribution in ("zeros", "ones"):
        return torch.full_like(draws, float(spec.distribution == "ones"))
    if spec.distribution != "orthogonal":
        return spread(spec, shape) * draws
    order = (*range(2, draws.ndim), 1, 0)  # (out, in, height, width) -> (height, width, in, out)
    canonical = draws.permute(order)
    matrix = canonical.reshape(-1, shape[0])
    wide = matrix.shape[0] < matrix.shape[1]
    q, r = torch.linalg.qr(matrix.T if wide else matrix)
    q = q * torch.diag(r).sign()
    values = (q.T if wide else q).reshape(canonical.shape)
    return spec.gain * values.permute(torch.argsort(torch.tensor(order)).tolist())


def build(spec: Spec) -> Callable[..., torch.Tensor]:
    natives: dict[str, Any] = {
        "zeros": init.zeros_,
        "ones": init.ones_,
        "normal": partial(init.normal_, std=spec.scale),
        "uniform": partial(init.uniform_, a=-spec.scale, b=spec.scale),
        "xavier_uniform": partial(init.xavier_uniform_, gain=spec.gain),
        "xavier_normal": partial(init.xavier_normal_, gain=spec.gain),
        "he_uniform": partial(init.kaiming_uniform_, a=spec.negative_slope, mode=spec.mode),
        "he_normal": partial(init.kaiming_normal_, a=spec.negative_slope, mode=spec.mode),
        "lecun_normal": partial(init.kaiming_normal_, mode=spec.mode, nonlinearity="linear"),
        "orthogonal": partial(init.orthogonal_, gain=spec.gain),
    }

    @torch.no_grad()
    def initialise(tensor: torch.Tensor) -> torch.Tensor:
        if spec.standard() == "truncated":
            deviation = spread(spec, tuple(tensor.shape))
            return init.trunc_normal_(tensor, std=deviation, a=-CUT * deviation, b=CUT * deviation)
        natives[spec.distribution](tensor)
        return tensor.mul_(spec.gain) if spec.distribution.startswith(("he", "lecun")) else tensor

    return initialise


def trace(spec: Spec, case: Arrays) -> Arrays:
    result = {}
    for name, array in case.items():
        draws = torch.tensor(to_native(array, spec.AXES[name]))
        result[name] = to_canonical(fill(spec, tuple(draws.shape), draws).numpy(), spec.AXES[name])
    return result
