"""Convolutions and poolings with any padding, also with another one on each end, from their settings alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...core.port.layer import Step
from . import arguing

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAXIMA = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGES = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}

Settings = Mapping[str, Any]


def flat(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Paddings as PyTorch takes them: the last axis first."""
    return [size for pair in reversed(pairs) for size in pair]


def convolved(step: Step, settings: Settings) -> Callable[..., Tensor] | None:
    """What computes a convolution of these settings, with the weights that the step has."""
    module = step.handle.module
    if settings["bias"] and not step.settings["bias"]:
        return None
    if module is not None:
        return lambda x, *args: _convolve(step.role, x, module.weight, module.bias, module.groups, settings)

    def run(*args: Any, **kwargs: Any) -> Tensor:
        given = arguing.bound(step.handle.name, args, kwargs)
        return _convolve(step.role, given["input"], given["weight"], given["bias"], given["groups"], settings)

    return run


def _convolve(role: str, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, settings: Settings) -> Tensor:
    rank = weight.ndim - 2
    strides, dilation, padding = (settings[name] for name in ("strides", "dilation", "padding"))
    bias = bias if settings["bias"] else None
    if role == "transposed_convolution":
        whole = TRANSPOSED[rank](x, weight, None, strides, 0, 0, groups, dilation)
        cut = F.pad(whole, [-size for size in flat(padding)])
        return cut if bias is None else cut + bias.reshape(-1, *[1] * rank)
    mode = MODES[settings.get("padding_mode", "zeros")]
    return CONVOLUTIONS[rank](F.pad(x, flat(padding), mode=mode), weight, bias, strides, 0, dilation, groups)


def pooled(step: Step, settings: Settings) -> Callable[..., Tensor]:
    """What computes a pooling of these settings."""
    window, strides, padding = (settings[name] for name in ("window", "strides", "padding"))
    rank = len(window)

    def run(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if step.role == "max_pool":
            wide = F.pad(x, flat(padding), value=-torch.inf)
            return MAXIMA[rank](wide, window, strides, 0, settings.get("dilation", 1))
        means = AVERAGES[rank](F.pad(x, flat(padding)), window, strides)
        if settings["counts_padding"]:
            return means
        return means / AVERAGES[rank](F.pad(torch.ones_like(x), flat(padding)), window, strides)

    return run
