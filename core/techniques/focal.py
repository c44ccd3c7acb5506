"""The focal loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..field import choice, non_negative, optional_share
from ..loss import Loss
from ..technique import Arrays


@dataclass(frozen=True, kw_only=True)
class Focal(Loss):
    """Cross-entropy in which a sample counts the less, the better it is classified: -alpha_t (1 - p_t)^gamma log p_t.

    Source: Lin et al., "Focal loss for dense object detection", ICCV 2017, eq. 5; p_t and alpha_t are those of eq. 2
    and section 3.1: p and alpha where the target is 1, 1 - p and 1 - alpha where it is 0.

    The built loss takes logits and targets and gives the mean: with `sigmoid`, over all elements, of targets 0 or 1 in
    the shape of the logits; with `softmax`, over all positions, of class indices (...) for logits (..., channels).

    Fields:
        form: `sigmoid`, each element a question of its own, or `softmax`, of which p_t is the target's probability.
        alpha: weight of the positive class with `sigmoid`, and of all alike with `softmax`; None for no weight.
        gamma: focusing parameter; 0 is the cross-entropy.

    Departs from paper: the paper divides the sum by the anchors that were assigned to an object; both frameworks divide
    by all. Multiply by all and divide by the objects where that is wanted.

    Raises InputError with `sigmoid` for logits and targets of two shapes.

    Frameworks differ: PyTorch has none (torchvision's is the sigmoid form, summed over nothing). Keras has both forms.
    In `BinaryFocalCrossentropy` alpha is off unless `apply_class_balancing=True`, and the gradient is NaN where p_t is
    1 and gamma below 1, as a power has none at 0. `CategoricalFocalCrossentropy` cuts probabilities at 1e-7, so that a
    sample that is wrong by a logit of 17 has no gradient left. Both siblings compute log p_t and log (1 - p_t) from the
    logits.
    """

    form: str = choice("sigmoid", "softmax")
    alpha: float | None = optional_share(0.25)
    gamma: float = non_negative(2.0)

    OUTPUT: ClassVar[str] = "logits"
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "focal_softmax": {"form": "softmax", "alpha": None},
        "focal_gentle": {"gamma": 0.5, "alpha": None},
        "focal_softmax_weighted": {"form": "softmax", "gamma": 0.5},
    }
    CHECKED = ("focal", *PRESETS)
    NATIVE: ClassVar[dict[str, str]] = {"keras": "keras.losses.BinaryFocalCrossentropy"}

    def case(self, rng: np.random.Generator) -> Arrays:
        """Logits (batch, time, channels) and targets, two of them wrong, and right, by a logit of 40."""
        logits = 3 * rng.standard_normal((4, 3, 5))
        logits[0, :2, 0] = 40.0
        targets = rng.integers(0, 5 if self.form == "softmax" else 2, (4, 3) if self.form == "softmax" else (4, 3, 5))
        targets[0, :2] = np.array([1, 0]) if self.form == "softmax" else np.array([[0], [1]])
        return {"logits": logits, "targets": targets if self.form == "softmax" else targets * 1.0}

    def value(self, output: NDArray[Any], targets: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        # What a probability is computed from: the logit itself, or that of the target above those of all the others.
        if self.form == "sigmoid":
            slope, weight = 2 * targets - 1, self.weights(targets)
            margins = slope * output
        else:
            target = np.eye(output.shape[-1])[targets]
            others = np.where(target > 0, -np.inf, output)
            total = np.logaddexp.reduce(others, axis=-1)
            margins, weight = (output * target).sum(axis=-1) - total, self.weights(np.ones(targets.shape))
            slope = target - np.exp(others - total[..., None])
        log_p, log_rest = -np.logaddexp(0, -margins), -np.logaddexp(0, margins)
        factor = weight * np.exp(self.gamma * log_rest) / margins.size
        steepness = factor * (self.gamma * np.exp(log_p) * log_p - np.exp(log_rest))  # of the loss in the margin
        return -(factor * log_p).sum(), (steepness if self.form == "sigmoid" else steepness[..., None]) * slope

    def weights(self, targets: NDArray[Any]) -> Any:
        """alpha_t of targets 0 and 1."""
        return 1.0 if self.alpha is None else self.alpha * targets + (1 - self.alpha) * (1 - targets)
