"""The angle between two vectors, as a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import positive
from ..loss import Loss


@dataclass(frozen=True, kw_only=True)
class CosineSimilarity(Loss):
    """The mean over all positions of 1 - cos, the cosine of the angle between output and target.

    Source: Manning, Raghavan and Schuetze, "Introduction to information retrieval" (2008), eq. 6.10. The cosine is
    x y / (max(|x|, epsilon) max(|y|, epsilon)).

    The built loss takes outputs and targets of one shape, float, (..., channels), and gives a scalar from 0, one
    direction, to 2, the opposite ones. No length matters above epsilon, so the gradient is at a right angle to x.

    Fields:
        epsilon: least length that a vector is divided by. Where x is 0 the gradient is -y / (epsilon |y|), very large.

    Raises InputError for outputs and targets of two shapes.

    Frameworks differ: PyTorch's `CosineSimilarity` gives cos, +1 being alike, and has an epsilon of 1e-8; below it, the
    gradient is not that of the value, as the clamp is hidden from it. Its `CosineEmbeddingLoss` is this, with 1e-12
    added to both squares. Keras's is -cos, so it goes down to -1; it has the same gradient, and an epsilon of 1e-7 that
    is no argument. A length written out as the root of a sum of squares has the gradient NaN at 0 in TensorFlow and 0
    in PyTorch.
    """

    epsilon: float = positive(1e-8)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"cosine_similarity_long": {"epsilon": 2.0}}
    CHECKED = ("cosine_similarity", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.nn.CosineSimilarity",
        "keras": "keras.losses.CosineSimilarity",
    }

    def value(self, output: NDArray[Any], targets: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        lengths = [np.linalg.norm(x, axis=-1, keepdims=True) for x in (output, targets)]
        divisors = [np.maximum(length, self.epsilon) for length in lengths]
        x, y = output / divisors[0], targets / divisors[1]
        cosines = (x * y).sum(axis=-1, keepdims=True)
        slope = y - np.where(lengths[0] > self.epsilon, cosines, 0.0) * x
        return (1 - cosines).mean(), -slope / divisors[0] / cosines.size
