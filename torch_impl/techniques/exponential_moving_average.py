"""The exponential moving average of weights. See core/techniques/exponential_moving_average.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ...core.technique import Arrays
from ...core.techniques.exponential_moving_average import ExponentialMovingAverage as Spec


def build(spec: Spec) -> Callable[..., None]:
    """What `AveragedModel` takes as its `multi_avg_fn`. The class itself copies at update 0; so does this."""

    @torch.no_grad()
    def update(averages: list[torch.Tensor], weights: list[torch.Tensor], count: Any) -> None:
        if count == 0:
            for average, weight in zip(averages, weights, strict=True):
                average.copy_(weight)
            return
        step = int(count)  # AveragedModel's is a whole tensor, whose quotients would be float32
        decay = min(spec.decay, (1 + step) / (10 + step)) if spec.warmup else spec.decay
        get_ema_multi_avg_fn(decay)(averages, weights, count)

    return update


def trace(spec: Spec, case: Arrays) -> Arrays:
    update = build(spec)
    averages = [torch.zeros_like(torch.tensor(array[0])) for array in case.values()]
    history: dict[str, list[np.ndarray]] = {name: [] for name in case}
    for count in range(len(next(iter(case.values())))):
        update(averages, [torch.tensor(array[count]) for array in case.values()], count)
        for kept, average in zip(history.values(), averages, strict=True):
            kept.append(average.numpy().copy())
    return {name: np.stack(kept) for name, kept in history.items()}
