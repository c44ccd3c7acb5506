"""The mean squared error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class MeanSquaredError(Technique):
    """The mean over all elements of (output - target)^2.

    Source: Bishop, "Pattern recognition and machine learning" (2006), section 1.2.5, without the factor of a half.

    The built loss takes outputs and targets of one shape, float, and gives a scalar.

    Raises no error of its own: PyTorch's broadcasts outputs (N, 1) against targets (N) to N x N with a warning, and
    Keras's squeezes them; give both one shape.

    Frameworks differ: in what they make of two shapes, as above.
    """

    CHECKED = ("mean_squared_error",)

    def case(self, rng: np.random.Generator) -> Arrays:
        """Outputs and targets (batch, height, width, channels)."""
        return {"outputs": rng.standard_normal((4, 3, 2, 5)), "targets": rng.standard_normal((4, 3, 2, 5))}

    def rule(self, case: Arrays) -> Arrays:
        error = case["outputs"] - case["targets"]
        return {"loss": np.asarray((error**2).mean()), "gradient": 2 * error / error.size}
