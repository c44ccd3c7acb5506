"""The mean squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from ..loss import Loss


@dataclass(frozen=True, kw_only=True)
class MeanSquaredError(Loss):
    """The mean over all elements of (output - target)^2.

    Source: Bishop, "Pattern recognition and machine learning" (2006), section 1.2.5, without the factor of a half.

    The built loss takes outputs and targets of one shape, float, and gives a scalar.

    Raises InputError for outputs and targets of two shapes.

    Frameworks differ: PyTorch's broadcasts outputs (N, 1) against targets (N) to N x N with a warning, and Keras's
    squeezes them; both siblings refuse them.
    """

    CHECKED = ("mean_squared_error",)
    NATIVE: ClassVar[dict[str, str]] = {"torch": "torch.nn.MSELoss", "keras": "keras.losses.MeanSquaredError"}

    def value(self, output: NDArray[Any], targets: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        error = output - targets
        return (error**2).mean(), 2 * error / error.size
