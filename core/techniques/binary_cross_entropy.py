"""Cross-entropy of independent yes-or-no questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import fraction, positive
from ..loss import Loss
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(Loss):
    """The mean over all elements of -(w y log p + (1 - y) log(1 - p)) with p = sigmoid(logit).

    Source: Bishop, "Pattern recognition and machine learning" (2006), eq. 4.90; smoothing after Szegedy et al.,
    "Rethinking the Inception architecture", CVPR 2016, section 7, of two classes: y <- (1 - epsilon) y + epsilon / 2.

    The built loss takes logits and targets of one shape, float, targets from 0 to 1, and gives a scalar.

    Fields:
        pos_weight: symbol w, the weight of what is asked for; above 1 favours recall. Its sum is not divided out.
        label_smoothing: symbol epsilon.

    Raises InputError for logits and targets of two shapes.

    Frameworks differ: PyTorch's `BCEWithLogitsLoss` takes logits and has no smoothing; its `BCELoss` takes
    probabilities and stops at 100. Keras's takes probabilities unless told `from_logits=True`, and cuts them at 1e-7,
    so that it stops at 16; it has no `pos_weight`, which only TensorFlow's own function has.
    """

    pos_weight: float = positive(1.0)
    label_smoothing: float = fraction(0.0)

    OUTPUT: ClassVar[str] = "logits"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "binary_cross_entropy_weighted": {"pos_weight": 3.0},
        "binary_cross_entropy_weighted_smoothed": {"pos_weight": 0.25, "label_smoothing": 0.1},
    }
    CHECKED = ("binary_cross_entropy", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {
        "torch": "torch.nn.BCEWithLogitsLoss",
        "keras": "keras.losses.BinaryCrossentropy",
    }

    def case(self, rng: np.random.Generator) -> Arrays:
        """Logits (batch, questions), one of them of 40 to the wrong side, and targets, some between 0 and 1."""
        logits, targets = 3 * rng.standard_normal((6, 5)), rng.integers(0, 2, (6, 5)) * 1.0
        logits[0, 0], targets[0, 0] = 40.0, 0.0
        targets[1:3] = rng.random((2, 5))
        return {"logits": logits, "targets": targets}

    def value(self, output: NDArray[Any], targets: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        wanted = (1 - self.label_smoothing) * targets + self.label_smoothing / 2
        yes, no = self.pos_weight * wanted, 1 - wanted
        losses = yes * np.logaddexp(0, -output) + no * np.logaddexp(0, output)
        p = 1 / (1 + np.exp(-output))
        return losses.mean(), (no * p - yes * (1 - p)) / output.size
