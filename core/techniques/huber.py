"""The Huber loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import positive
from ..loss import Loss


@dataclass(frozen=True, kw_only=True)
class Huber(Loss):
    """The mean over all elements of a parabola near zero that goes on as a straight line.

    Source: Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964): e^2 / 2
    where |e| <= delta, and delta |e| - delta^2 / 2 elsewhere, of the error e = output - target.

    The built loss takes outputs and targets of one shape, float, and gives a scalar.

    Fields:
        delta: where the parabola ends; symbol k of the paper.

    Raises InputError for outputs and targets of two shapes.

    Frameworks differ: in name only. PyTorch's `SmoothL1Loss(beta)` is this loss divided by beta, and Keras has none.
    Keras's own `Huber` forgets delta in a model's file, and comes back with 1.
    PyTorch broadcasts outputs (N, 1) against targets (N), and Keras squeezes them; both siblings refuse them.
    """

    delta: float = positive(1.0)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"huber_narrow": {"delta": 0.3}}
    CHECKED = ("huber", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.nn.HuberLoss", "keras": "keras.losses.Huber"}

    def value(self, output: NDArray[Any], targets: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        error, size = output - targets, np.abs(output - targets)
        near = size <= self.delta
        losses = np.where(near, error**2 / 2, self.delta * size - self.delta**2 / 2)
        return losses.mean(), np.where(near, error, self.delta * np.sign(error)) / error.size
