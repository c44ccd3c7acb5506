"""Cross-entropy of logits with class indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..field import any_whole, fraction
from ..technique import Arrays, Technique


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Technique):
    """The mean over all positions of -sum_k q_k log softmax(logits)_k.

    Source: label smoothing after Szegedy et al., "Rethinking the Inception architecture", CVPR 2016, section 7:
    q_k = (1 - epsilon) [k = target] + epsilon / K for K classes.

    The built loss takes logits, float, (..., channels), and targets, whole numbers, (...), and gives a scalar.

    Fields:
        label_smoothing: symbol epsilon.
        ignore_index: positions with this target count neither in the sum nor in the number divided by; None for none.

    At least one position must not be ignored: the mean of none is not defined, and is not a number in PyTorch.

    Frameworks differ: PyTorch takes logits with the classes on axis 1; Keras takes probabilities unless told otherwise,
    its sparse loss has no smoothing, and its smoothing loss ignores no class.
    """

    label_smoothing: float = fraction(0.0)
    ignore_index: int | None = any_whole(-100)

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "cross_entropy_smoothed": {"label_smoothing": 0.1, "ignore_index": None},
        "cross_entropy_smoothed_padded": {"label_smoothing": 0.1, "ignore_index": 0},
    }
    CHECKED = ("cross_entropy", *PRESETS)

    def case(self, rng: np.random.Generator) -> Arrays:
        """Logits (batch, time, channels) and targets (batch, time), some of them ignored."""
        targets = rng.integers(0, 7, (6, 5))
        if self.ignore_index is not None:
            targets = np.where(rng.random(targets.shape) < 0.3, self.ignore_index, targets)
            targets[0, 0] = 3
        return {"logits": 3 * rng.standard_normal((6, 5, 7)), "targets": targets}

    def rule(self, case: Arrays) -> Arrays:
        logits, targets = case["logits"], case["targets"]
        classes = logits.shape[-1]
        valid = np.ones(targets.shape) if self.ignore_index is None else (targets != self.ignore_index) * 1.0
        wanted = np.eye(classes)[np.where(valid > 0, targets, 0)]
        wanted = (1 - self.label_smoothing) * wanted + self.label_smoothing / classes
        shifted = logits - logits.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        loss = -(valid * (wanted * log_p).sum(axis=-1)).sum() / valid.sum()
        gradient = valid[..., None] * (np.exp(log_p) - wanted) / valid.sum()
        return {"loss": np.asarray(loss), "gradient": gradient}
